#!/bin/sh
# Replaces the containers of a service by new ones, one after the other, while all goes on:
#   sh deploy/roll.sh auth              after `docker compose build`, `pull`, or a change of deploy/.env
# A new one has to be ready before an old one is asked to stop; the old one finishes what it has.
# COMPOSE is how to call compose, for another project or other files.
set -eu
service=$1
compose=${COMPOSE:-docker compose -f $(dirname "$0")/compose.yml}
notice=3 # until every nginx node has found the new one

old=$($compose ps -q "$service")
count=$(echo "$old" | wc -w)
stop() {
    docker stop -t "$(docker inspect -f '{{.Config.StopTimeout}}' "$1")" "$1"
    docker rm -v "$1"
}
for container in $old; do
    if [ "$service" = nginx ]; then # a new one needs the port of an old one: the other nodes serve meanwhile
        stop "$container"
        $compose up -d --no-deps --no-recreate --wait --scale "nginx=$count" nginx
        continue
    fi
    $compose up -d --no-deps --no-recreate --wait --scale "$service=$((count + 1))" "$service"
    sleep "$notice"
    stop "$container"
done
