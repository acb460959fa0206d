# Sourced by the examples: machines made of network namespaces, programs in them, and an end that removes all of it, also after Ctrl-C.
# What an example itself is about stands in its run.sh.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
xfrmd=${XFRMD:-$root/out/xfrmd}
[ -x "$xfrmd" ] || xfrmd=$(command -v xfrmd) || { echo "$0: no xfrmd: run 'make publish', or install the package" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || { echo "$0: network namespaces need root; run it with sudo" >&2; exit 1; }
name=$(basename "$(dirname "$(readlink -f "$0")")")
prefix=xfrmd-$name-$$
folder=$(mktemp -d "${TMPDIR:-/tmp}/$prefix.XXXXXX")
machines=()
pids=()
watchers=()
step=0

say() { printf '%d. %s\n' $((step += 1)) "$*"; }
quote() { sed 's/^/   /'; }
fail() {
    local log
    printf '%s: %s\n' "$name" "$*" >&2
    for log in "$folder"/*.log; do
        [ ! -s "$log" ] || { echo "--- $(basename "$log")"; tail -n 25 "$log"; } >&2
    done
    exit 1
}

clean_up() {
    local status=$? i machine pid
    trap '' INT TERM HUP PIPE
    trap - EXIT
    set +e   # whoever reads this may have gone
    exec >&8 2>&9   # a signal may have come while something was being kept quiet
    # Last started, first ended: IKE daemons say goodbye to each other while they still have a kernel.
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill -TERM "${pids[i]}" 2>/dev/null || continue
        for _ in $(seq 100); do kill -0 "${pids[i]}" 2>/dev/null || break; sleep 0.1; done
    done
    for machine in "${machines[@]}"; do
        [ -e "/run/netns/$prefix-$machine" ] || continue
        for pid in $(ip netns pids "$prefix-$machine"); do kill -KILL "$pid" 2>/dev/null || true; done
        ip netns del "$prefix-$machine" || true
    done
    rm -rf "$folder"
    [ "$status" -eq 0 ] && echo "$name: every step happened, all is removed" || echo "$name: ended before its end (exit $status), all is removed" >&2
    exit "$status"
}
exec 8>&1 9>&2
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

# machine NAME: a network namespace, and a /run of its own (two charons on one machine would fight for one socket).
machine() {
    machines+=("$1")
    mkdir "$folder/$1"
    ip netns add "$prefix-$1"
    ip -n "$prefix-$1" link set lo up
}

# cable A ADDRESS B ADDRESS: joins two machines; the device is named after the other end.
cable() {
    ip -n "$prefix-$1" link add "to-$3" type veth peer name "to-$1" netns "$prefix-$3"
    ip -n "$prefix-$1" addr add "$2" dev "to-$3"
    ip -n "$prefix-$3" addr add "$4" dev "to-$1"
    ip -n "$prefix-$1" link set "to-$3" up
    ip -n "$prefix-$3" link set "to-$1" up
}

# router MACHINE...: passes packets on.
router() {
    local machine
    for machine in "$@"; do on "$machine" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'; done
}

# on MACHINE COMMAND...
on() {
    local machine=$1
    shift
    ip netns exec "$prefix-$machine" /bin/sh -c 'mount --bind "$0" /run && exec "$@"' "$folder/$machine" "$@"
}

# start MACHINE COMMAND...: in the background, until the end; $pid is its own, as everything on the way execs, $log is what it says.
start() {
    local machine=$1
    shift
    log=$folder/$machine-$(basename "$1")-${#pids[@]}.log
    (trap - EXIT; exec ip netns exec "$prefix-$machine" /bin/sh -c 'mount --bind "$0" /run && exec "$@"' "$folder/$machine" "$@") \
        >"$log" 2>&1 </dev/null &
    pid=$!
    pids+=("$pid")
}

# wait_for WHAT COMMAND...: until the command succeeds, for at most half a minute.
wait_for() {
    local what=$1
    shift
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    fail "waited in vain for $what"
}

# serve MACHINE...: xfrmd on each.
serve() {
    local machine
    for machine in "$@"; do
        start "$machine" "$xfrmd" serve
        wait_for "xfrmd on $machine" test -S "$folder/$machine/xfrmd.sock"
    done
}

# attached MACHINE COMMAND...: the command takes xfrmd for its kernel.
attached() { on "$1" "$xfrmd" run -- "${@:2}"; }

# charon MACHINE: Debian's charon, with the swanctl.conf of standard input.
charon() {
    cat >"$folder/$1/swanctl.conf"
    start "$1" "$xfrmd" run -- /usr/lib/ipsec/charon
    wait_for "charon on $1" on "$1" swanctl --stats
    on "$1" swanctl --load-all --file /run/swanctl.conf >"$folder/swanctl-$1.log" 2>&1 || fail "charon on $1 does not load its configuration"
}

# watch MACHINE DEVICE: captures what crosses a wire there, until stop_watching. By dumpcap, as tcpdump begins with becoming another user,
# which an ordinary user's namespace does not let root do; it reads captures as somebody who is not root.
reader=()
[ "$(cat /proc/self/setgroups)" = allow ] || reader=(unshare --user --map-user=1)
watch() {
    start "$1" dumpcap -q -i "$2" -w "/run/wire.pcapng"
    watchers+=("$pid")
    wait_for "the capture on $1" grep -q "^File:" "$log"
}
stop_watching() {
    local watcher
    sleep 1   # dumpcap reads every quarter of a second
    for watcher in "${watchers[@]}"; do
        kill -INT "$watcher"
        wait "$watcher" || true
    done
}
# wire MACHINE [FILTER]: what was captured there; count MACHINE FILTER: how many packets match.
wire() { "${reader[@]}" tcpdump -n -r "$folder/$1/wire.pcapng" "${@:2}" 2>/dev/null; }
count() { wire "$@" | wc -l; }
nothing_clear() {
    local clear
    # ip6[6] == 0: multicast listener reports, which carry a hop-by-hop option before their ICMPv6.
    clear=$(count "$1" 'not (esp or udp port 500 or udp port 4500 or arp or icmp6 or igmp or (ip6 and ip6[6] == 0))')
    [ "$clear" -eq 0 ] || fail "$clear packets crossed the wire in clear"
    [ "$(count "$1" 'esp or udp port 4500')" -gt 0 ] || fail "the wire carried no ESP"
}

pings() {
    on "$1" ping -n -c 3 -i 0.2 -W 5 "${@:2}" >"$folder/ping.log" 2>&1 || fail "no answer to ping from $1 to ${*: -1}"
    grep transmitted "$folder/ping.log" | quote
}
