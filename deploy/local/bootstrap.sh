#!/usr/bin/env bash
# Gives a fresh machine what it lacks, then becomes a program of the virtual environment:
#   bootstrap.sh run|test|check PROGRAM [ARGUMENT]...     such as: bootstrap.sh run python -m deploy.local.run
# The packages come from Debian or Ubuntu where we may install them; elsewhere one line says what is missing.
# VENV is the virtual environment (default .venv).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

containers='or use the containers: docker compose -f deploy/compose.yml up'

fail() {
    echo "$*" >&2
    exit 1
}

# When make is killed, this script and what it becomes end with it.
if [ -z "${BOOTSTRAP_TIED:-}" ]; then
    command -v setpriv >/dev/null || fail "setpriv is missing: install util-linux (this needs Linux), $containers"
    BOOTSTRAP_TIED=1 exec setpriv --pdeathsig TERM bash deploy/local/bootstrap.sh "$@"
fi
unset BOOTSTRAP_TIED

purpose=$1
program=$2
shift 2
venv=$(realpath -m "${VENV:-.venv}")
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # where Debian keeps daemons
export PATH

# Runs a long command with its output in build/NAME.log, and says every ten seconds that it goes on.
patiently() {
    local name=$1 what=$2 began=$SECONDS pid
    shift 2
    echo "$what (output in build/$name.log)"
    "$@" >"build/$name.log" 2>&1 </dev/null &
    pid=$!
    trap 'kill "$pid" 2>/dev/null || true; exit 130' INT TERM HUP
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        (((SECONDS - began) % 10)) || echo "    $((SECONDS - began)) s"
    done
    trap - INT TERM HUP
    wait "$pid" && return
    tail -n 10 "build/$name.log" >&2
    return 1
}

# The newest Python that will do, if there is one.
find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
}

has_postgres() {
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null
}

has_jemalloc() {
    compgen -G '/usr/lib/*/libjemalloc.so.2' >/dev/null || compgen -G '/usr/lib*/libjemalloc.so.2' >/dev/null
}

# The Debian packages that this machine lacks.
missing() {
    [ -x "$venv/bin/python" ] || [ -n "$(find_python)" ] || echo python3 python3-venv
    command -v nginx >/dev/null || echo nginx
    [ "$purpose" != check ] || return 0
    command -v redis-server >/dev/null || echo redis-server
    has_postgres || echo postgresql
    has_jemalloc || echo libjemalloc2
    [ "$purpose" = test ] || return 0
    command -v curl >/dev/null || echo curl
    command -v node >/dev/null || echo nodejs
    command -v npm >/dev/null || echo npm
    command -v php >/dev/null || echo php-cli
    php -r "exit(extension_loaded('curl') ? 0 : 1);" 2>/dev/null || echo php-curl
    command -v go >/dev/null || echo golang-go
    command -v faketime >/dev/null || echo faketime
    command -v chromium >/dev/null || echo chromium
    command -v promtool >/dev/null || echo prometheus
    ruby -r httparty -e '' 2>/dev/null || echo ruby-httparty
    ruby -r faraday -e '' 2>/dev/null || echo ruby-faraday
}

install_packages() {
    local packages=("$@") sudo=()
    local advice="install ${packages[*]} with your package manager, $containers"
    command -v apt-get >/dev/null || fail "programs are missing: $advice"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "programs are missing: $advice"
        sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; } || fail "programs are missing: $advice"
        sudo=(sudo -n)
    fi
    patiently packages "installing ${packages[*]}" "${sudo[@]}" bash deploy/local/install.sh "${packages[@]}" ||
        fail "the packages could not be installed: $advice"
}

# What the virtual environment was made of: it is brought up to date only when this changes.
ingredients() {
    sha256sum <requirements.lock
}

make_venv() {
    if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
        local python
        python=$(find_python)
        [ -n "$python" ] || fail "Python 3.11 or newer, with its venv module, is missing: install it, $containers"
        patiently venv "making a virtual environment in $venv" "$python" -m venv --clear "$venv" ||
            fail "the virtual environment could not be made"
    fi
    patiently pip "installing the Python packages of requirements.lock" "$venv/bin/python" -m pip install \
        --disable-pip-version-check --require-hashes -r requirements.lock ||
        fail "the Python packages could not be installed: see build/pip.log, $containers"
    ingredients >"$venv/ingredients"
}

is_current() {
    [ "$(ingredients)" = "$(cat "$venv/ingredients" 2>/dev/null)" ] && "$venv/bin/python" -c '' 2>/dev/null
}

mkdir -p build
mapfile -t packages < <(missing | tr ' ' '\n')
[ "${#packages[@]}" -eq 0 ] || install_packages "${packages[@]}"
is_current || (
    flock 9 # another make may be at it
    is_current || make_venv
) 9>build/bootstrap.lock

exec "$venv/bin/$program" "$@"
