#!/usr/bin/env bash
# Installs the package, runs what its units run, uses it, removes and purges it, and looks that nothing stayed. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
package=$(ls -t out/xfrmd_*.deb 2> /dev/null | head -n 1)
[ -n "$package" ] || { echo "package test: there is no package: make package" >&2; exit 1; }
[ ! -e /usr/sbin/xfrmd ] || { echo "package test: xfrmd is installed on this machine already: remove it first (dpkg -r xfrmd)" >&2; exit 1; }
purge() { dpkg --purge xfrmd > /dev/null 2>&1 || true; }
trap purge EXIT

dpkg -i "$package" > /dev/null 2>&1 || { echo "package test: it does not install" >&2; exit 1; }
export XFRMD=/usr/sbin/xfrmd
. examples/lab.sh
name="package test"
trap 'ended=$?; purge; (exit $ended) || false; clean_up' EXIT
mapfile -t files < <(dpkg -L xfrmd)

say "installed: the units are sound, the man page has no warnings, bash completes"
units=/lib/systemd/system
if command -v systemd-analyze > /dev/null; then
    complaints=$(systemd-analyze verify $units/xfrmd.service $units/strongswan.service $units/strongswan-starter.service 2>&1 | grep -i xfrmd) || true
    [ -z "$complaints" ] || fail "systemd-analyze verify: $complaints"
    systemd-analyze security --offline=true --threshold=50 $units/xfrmd.service 2>&1 | tail -n 1 | quote || fail "the unit is less confined than it was"
fi
for page in /usr/share/man/man*/xfrmd*.gz; do
    complaints=$(MANWIDTH=80 man --warnings -l "$page" 2>&1 > /dev/null) || true
    [ -z "$complaints" ] || fail "$page: $complaints"
done
completed=$(bash -c '. /usr/share/bash-completion/completions/xfrmd; COMP_WORDS=(xfrmd sta) COMP_CWORD=1 COMP_LINE="xfrmd sta" COMP_POINT=9
    $(complete -p xfrmd | sed -n "s/.*-F \([^ ]*\).*/\1/p") xfrmd sta xfrmd; echo "${COMPREPLY[*]}"')
[ "$completed" = "state stats status" ] || fail "'xfrmd sta' completes to '$completed'"

say "what xfrmd.service runs, with the capabilities that it leaves, tells the service manager that it is ready"
setting() { sed -n "s/^$2=//p" "$1" | tail -n 1; }
cat > "$folder/manager.py" << 'PYTHON'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(4096).decode(), flush=True)
PYTHON
# A service as systemd starts it: unit, machine, file of the unit; its Type=notify is listened to.
service() {
    local unit=$1 at=$2 file=$3 capabilities
    [ "$unit" = strongswan-starter ] || {
        start "$at" python3 "$folder/manager.py" "/run/$unit.notify"
        heard=$log
        wait_for "the stand-in for systemd" test -S "$folder/$at/$unit.notify"
    }
    capabilities=$(setting "$file" CapabilityBoundingSet | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
    # shellcheck disable=SC2046,SC2086
    start "$at" env NOTIFY_SOCKET="/run/$unit.notify" \
        ${capabilities:+setpriv --bounding-set=-all,$capabilities --no-new-privs} $(setting "$file" ExecStart)
    [ "$unit" = strongswan-starter ] || wait_for "READY=1 of $unit" grep -q READY=1 "$heard"
}
machine left
machine right
cable left 192.0.2.1/24 right 192.0.2.2/24
service xfrmd left $units/xfrmd.service
daemon=$pid manager=$heard
service xfrmd right $units/xfrmd.service

say "two machines talk ESP through it"
for at in left right; do
    attached $at ip -batch - << SA
xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 mode transport aead rfc4106(gcm(aes)) 0x101112131415161718191a1b1c1d1e1f20212223 128
xfrm state add src 192.0.2.2 dst 192.0.2.1 proto esp spi 0x200 mode transport aead rfc4106(gcm(aes)) 0x303132333435363738393a3b3c3d3e3f40414243 128
SA
done
attached left ip xfrm policy add src 192.0.2.1 dst 192.0.2.2 dir out tmpl proto esp mode transport
attached right ip xfrm policy add src 192.0.2.2 dst 192.0.2.1 dir out tmpl proto esp mode transport
watch left to-right
pings left 192.0.2.2
stop_watching
nothing_clear left
attached left ip xfrm policy flush
attached left ip xfrm state flush

say "the drop-ins: strongswan.service and strongswan-starter.service under xfrmd run"
for unit in strongswan strongswan-starter; do
    service $unit left $units/$unit.service.d/xfrmd.conf
    # swanctl's socket belongs to charon-systemd, starter's charon has both.
    wait_for "charon of $unit" on left swanctl --stats
    grep -q 'Seccomp:[[:space:]]*2' "/proc/$(cat "$folder/left/charon.pid" 2> /dev/null || echo "$pid")/status" || fail "charon of $unit does not run under xfrmd"
    kill -TERM "$pid"
    wait "$pid" || true
    rm -f "$folder/left/charon.vici"
done

say "SIGTERM ends the daemon well, and it says so"
kill "$daemon"
wait "$daemon" || fail "the daemon ended with $?"
grep -q STOPPING=1 "$manager" || fail "the daemon did not say that it stops"

say "removed, installed again, purged: nothing stayed"
dpkg --remove xfrmd > /dev/null || fail "it does not uninstall"
dpkg -i "$package" > /dev/null 2>&1 || fail "it does not install again"
dpkg --purge xfrmd > /dev/null || fail "it does not purge"
for file in "${files[@]}"; do
    [ -d "$file" ] && [[ $file != *xfrmd* ]] || [ ! -e "$file" ] || fail "$file stayed"
done
stayed=$(find /etc /var/lib/systemd /usr/lib/systemd -name '*xfrmd*' 2> /dev/null) || true
[ -z "$stayed" ] || fail "$stayed stayed"
