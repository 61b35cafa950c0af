#!/bin/sh
# Writes deploy/.env with the secrets that deploy/compose.yml needs. It never overwrites one: the database's
# password and the keys of the object store are only read when these are made.
set -eu
umask 077
file=${1:-$(dirname "$0")/.env}
random() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
if [ -e "$file" ]; then
    echo "$file is there already, and stays as it is"
    exit
fi
cat >"$file.new" <<END
IDENTITY_SECRETS=$(random 32)
CONTROL_SECRET=$(random 32)
POSTGRES_PASSWORD=$(random 24)
REDIS_PASSWORD=$(random 24)
S3_ACCESS_KEY_ID=$(random 10)
S3_SECRET_ACCESS_KEY=$(random 24)
GRAFANA_PASSWORD=$(random 12)
END
mv "$file.new" "$file"
echo "$file is written: keep a copy of it in a safe place"
