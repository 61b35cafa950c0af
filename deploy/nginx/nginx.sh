#!/bin/sh
# Keeps an nginx and its workers together: nginx.sh RUN_DIR CACHE_DIR TOMBSTONES_DIR NGINX [OPTION]...
# When the master of an nginx is killed, its workers live on and hold the port, and its Unix sockets
# stay on the disk; both stop the next start. The supervisor makes this script the leader of a process group.
set -u
run=$1 cache=$2 tombstones=$3
shift 3

exec 9>"$run/nginx.lock" # nginx inherits it: the next one starts when the last worker is gone
flock 9
rm -f "$run"/control*.sock

# What was deleted while this node was away has no tombstone here: so its cache is emptied before it listens,
# and the tombstones of before are needed no more than for the requests of that time.
find "$cache" -mindepth 1 -delete || exit
find "$tombstones" -type f -mtime +1 -delete
: >"$run/serving"

setpriv --pdeathsig TERM "$@" -g 'daemon off;' &
nginx=$!
trap 'kill -s TERM "$nginx"' TERM INT
# Draining, nginx closes its control address at once and goes on to serve the connections that it has: it can
# hear of no delete any more, so from before then on it asks transform for every picture.
trap 'rm -f "$run/serving"; sleep 2; kill -s QUIT "$nginx"' QUIT
trap 'kill -s HUP "$nginx"' HUP
status=0
while kill -0 "$nginx" 2>/dev/null; do
    wait "$nginx"
    status=$?
done
[ "$status" -eq 0 ] || kill -s KILL -- -$$
exit "$status"
