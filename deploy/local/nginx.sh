#!/bin/sh
# Keeps an nginx and its workers together: nginx.sh RUN_DIR NGINX [OPTION]...
# When the master of an nginx is killed, its workers live on and hold the port, and its Unix sockets
# stay on the disk; both stop the next start. The supervisor makes this script the leader of a process group.
set -u
run=$1
shift

exec 9>"$run/nginx.lock" # nginx inherits it: the next one starts when the last worker is gone
flock 9
rm -f "$run"/control*.sock

setpriv --pdeathsig TERM "$@" -g 'daemon off;' &
nginx=$!
trap 'kill -s TERM "$nginx"' TERM INT
trap 'kill -s QUIT "$nginx"' QUIT
trap 'kill -s HUP "$nginx"' HUP
status=0
while kill -0 "$nginx" 2>/dev/null; do
    wait "$nginx"
    status=$?
done
[ "$status" -eq 0 ] || kill -s KILL -- -$$
exit "$status"
