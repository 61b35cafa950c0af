#!/bin/sh
# Writes a backup of the running stack into an empty folder: sh deploy/backup.sh FOLDER
# The database comes first: every picture that it names then has its objects, unless it was deleted meanwhile.
# COMPOSE is how to call compose, for another project or other files.
set -eu
folder=$1
compose=${COMPOSE:-docker compose -f $(dirname "$0")/compose.yml}
umask 077
mkdir -p "$folder"
$compose exec -T postgres pg_dump -U user_photos -Fc user_photos >"$folder/database.dump"
# What the store knows of an object beside its bytes is in extended attributes.
$compose run --rm -T --no-deps bucket \
    tar --xattrs --xattrs-include='user.*' -C /var/lib/user-photos/objects -czf - . >"$folder/objects.tar.gz"
ls -l "$folder"
