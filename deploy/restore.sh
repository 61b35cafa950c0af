#!/bin/sh
# Fills an empty stack from a backup, and starts it: sh deploy/restore.sh FOLDER
# deploy/.env need not be the one of then, except that keys and pictures are those of the backup.
# COMPOSE is how to call compose, for another project or other files.
set -eu
folder=$1
compose=${COMPOSE:-docker compose -f $(dirname "$0")/compose.yml}
if [ -n "$($compose ps -aq)" ]; then
    echo "the stack is not empty: docker compose down --volumes deletes all that it holds" >&2
    exit 1
fi
$compose up -d --wait postgres
$compose exec -T postgres pg_restore -U user_photos -d user_photos --exit-on-error <"$folder/database.dump"
$compose run --rm -T --no-deps bucket \
    tar --xattrs --xattrs-include='user.*' -C /var/lib/user-photos/objects -xzf - <"$folder/objects.tar.gz"
$compose up -d --wait
