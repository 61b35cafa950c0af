#!/usr/bin/env bash
# As root: installs packages of Debian or Ubuntu, and leaves none of their services running, now or after a
# reboot. What was installed before is neither upgraded, stopped nor started again.
set -euo pipefail

policy=/usr/sbin/policy-rc.d
mark='# Made by user.photos while it installs packages: they start nothing. Delete it if you find it.'
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

if [ ! -e "$policy" ] || grep -qF "$mark" "$policy"; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 143' INT TERM HUP
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
fi

new=()
for unit in nginx redis-server postgresql prometheus; do
    if [[ " $* " = *" $unit "* ]] && ! dpkg -s "$unit" >/dev/null 2>&1; then
        new+=("$unit")
    fi
done

apt-get update || echo 'apt-get update failed; trying with the lists that are here'
apt-get install -y --no-install-recommends --no-upgrade -o DPkg::Lock::Timeout=120 "$@"

if [ "${#new[@]}" -gt 0 ] && command -v systemctl >/dev/null; then
    systemctl disable "${new[@]}" || true
    [ ! -d /run/systemd/system ] || systemctl stop "${new[@]}"
fi
