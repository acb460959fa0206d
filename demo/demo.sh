#!/bin/bash
# Two gateways on one machine, each with Debian's own charon and no kernel ESP: xfrmd is their kernel.
# `make demo` builds and runs it. Everything is made in network namespaces of its own and removed at the end, also after Ctrl-C.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
xfrmd=${XFRMD:-$here/out/xfrmd}
prefix=xfrmd-demo
left=$prefix-left right=$prefix-right
folder=
pids=()

bold='' faint='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' faint=$'\033[2m' plain=$'\033[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$faint" "$*" "$plain"; }
fail() {
    printf '\ndemo: %s\n' "$*" >&2
    for log in "$folder"/*.log; do
        [ -s "$log" ] && { echo "--- $(basename "$log")"; tail -n 25 "$log"; } >&2
    done
    exit 1
}

remove_namespaces() {
    local name pid
    for name in $left $right; do
        [ -e "/run/netns/$name" ] || continue
        for pid in $(ip netns pids "$name"); do kill -KILL "$pid" 2>/dev/null || true; done
        ip netns del "$name" || true
    done
}

clean_up() {
    local status=$? i
    trap '' INT TERM HUP PIPE
    trap - EXIT
    set +e   # whoever reads this may have gone
    say "Removing all of it"
    # Last started, first ended: the IKE daemons say goodbye to each other while they still have a kernel.
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill -TERM "${pids[i]}" 2>/dev/null || true
        for _ in $(seq 50); do kill -0 "${pids[i]}" 2>/dev/null || break; sleep 0.1; done
    done
    remove_namespaces
    [ -z "$folder" ] || rm -rf "$folder"
    if [ "$status" -eq 0 ]; then echo "Every step happened."; else echo "The demo did not come to its end (exit $status)." >&2; fi
    exit "$status"
}

# Runs a program in one of the two namespaces, with a /run of its own: two charons on one machine would fight for one vici socket.
inside() {
    local name=$1
    shift
    ip netns exec "$name" /bin/sh -c 'mount --bind "$0" /run && exec "$@"' "$folder/$name" "$@"
}

# Starts a program there; $! is its pid, as everything on the way execs.
start() {
    local name=$1 log=$2
    shift 2
    (exec ip netns exec "$name" /bin/sh -c 'mount --bind "$0" /run && exec "$@"' "$folder/$name" "$@") >>"$folder/$log.log" 2>&1 </dev/null &
    pids+=($!)
}

wait_for() {
    local what=$1
    shift
    for _ in $(seq 150); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    fail "waited in vain for $what"
}

[ "$(id -u)" -eq 0 ] || { echo "demo: network namespaces need root; run it with sudo" >&2; exit 1; }
[ -x "$xfrmd" ] || { echo "demo: $xfrmd is missing; run make publish" >&2; exit 1; }
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
remove_namespaces
folder=$(mktemp -d "${TMPDIR:-/tmp}/$prefix.XXXXXX")
mkdir "$folder/$left" "$folder/$right"

say "1. Two machines: 10.1.0.1 behind the left gateway, 10.2.0.1 behind the right one, a cable between"
ip netns add $left
ip netns add $right
ip -n $left link add wan type veth peer name wan netns $right
address() { [ "$1" = $left ] && echo "192.0.2.1" || echo "192.0.2.2"; }
network() { [ "$1" = $left ] && echo "10.1.0.0/16" || echo "10.2.0.0/16"; }
other() { [ "$1" = $left ] && echo $right || echo $left; }
for name in $left $right; do
    ip -n $name link set lo up
    ip -n $name addr add "$(address $name)/24" dev wan
    ip -n $name link set wan up
    ip -n $name link add lan type bridge
    ip -n $name addr add "$(network $name | sed 's,0.0/16,0.1/16,')" dev lan
    ip -n $name link set lan up
done
ip netns exec $left ping -c 1 -w 10 192.0.2.2 >/dev/null || fail "the cable does not work"
is_up() { ip -n "$1" -br link show wan | grep -q ' UP '; }
for name in $left $right; do wait_for "the cable" is_up $name; done
ip -n $left -br -4 addr | sed 's/^/left   /'
ip -n $right -br -4 addr | sed 's/^/right  /'

say "2. The kernel beneath is asked for ESP: does it have it?"
show "ip xfrm state add ... proto esp ..."
ip -n $left xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 1 mode tunnel aead 'rfc4106(gcm(aes))' 0x000102030405060708090a0b0c0d0e0f10111213 128 2>&1 \
    | sed 's/^/   /' || true
ip -n $left xfrm state flush 2>/dev/null || true

say "3. One xfrmd on each gateway"
show "xfrmd serve --socket /run/xfrmd.sock"
for name in $left $right; do
    start $name "xfrmd-$name" "$xfrmd" serve --socket /run/xfrmd.sock
    wait_for "xfrmd on $name" test -S "$folder/$name/xfrmd.sock"
done
ip netns exec $left tcpdump -n -i wan -s 128 -U --immediate-mode -Z root -w "$folder/wire.pcap" >"$folder/tcpdump.log" 2>&1 &
tcpdump=$!
pids+=("$tcpdump")
wait_for "tcpdump" grep -q "listening on" "$folder/tcpdump.log"

say "4. Debian's charon on each, unmodified and unconfigured, with xfrmd for a kernel"
show "xfrmd run -- /usr/lib/ipsec/charon"
for name in $left $right; do
    start $name "charon-$name" "$xfrmd" run --socket /run/xfrmd.sock -- /usr/lib/ipsec/charon
    wait_for "charon on $name" test -S "$folder/$name/charon.vici"
done

say "5. A connection with a pre-shared key, loaded by swanctl"
for name in $left $right; do
    cat >"$folder/$name/swanctl.conf" <<EOF
connections {
  demo {
    version = 2
    local_addrs = $(address $name)
    remote_addrs = $(address "$(other $name)")
    local { auth = psk }
    remote { auth = psk }
    children {
      net {
        local_ts = $(network $name)
        remote_ts = $(network "$(other $name)")
        esp_proposals = aes128gcm16
      }
    }
  }
}
secrets { ike { secret = "a secret that both know" } }
EOF
    wait_for "charon's control socket on $name" inside $name swanctl --stats
    inside $name swanctl --load-all --file /run/swanctl.conf 2>>"$folder/swanctl.log" | grep -E '^loaded connection' | sed "s/^/   $name: /" \
        || fail "$name did not load the connection"
done

say "6. The left one initiates"
show "swanctl --initiate --child net"
inside $left swanctl --initiate --child net --timeout 20 2>>"$folder/swanctl.log" | grep -E 'CHILD_SA|established|completed' | sed 's/^/   /'
inside $left swanctl --list-sas 2>/dev/null | grep -q 'INSTALLED' || fail "no CHILD_SA came up"

say "7. What the IKE daemon put into its kernel"
show "xfrmd run -- ip xfrm state"
inside $left "$xfrmd" run --socket /run/xfrmd.sock -- ip xfrm state list nokeys | tee "$folder/state"
[ "$(grep -c '^src ' "$folder/state")" -eq 2 ] || fail "two SAs were expected"
show "xfrmd run -- ip xfrm policy list nosock"
inside $left "$xfrmd" run --socket /run/xfrmd.sock -- ip xfrm policy list nosock | tee "$folder/policy"
grep -q 'dir out' "$folder/policy" || fail "an out policy was expected"

say "8. Traffic"
show "ping 10.2.0.1"
ip netns exec $left ping -n -c 5 -i 0.2 -w 20 -I 10.1.0.1 10.2.0.1 | tee "$folder/ping" | sed 's/^/   /'
grep -q '5 received' "$folder/ping" || fail "echo replies are missing"
show "iperf3 -c 10.2.0.1"
start $right iperf3-server iperf3 -s -1 -I /run/iperf3.pid
wait_for "iperf3's server" grep -q ':1451 ' "/proc/${pids[-1]}/net/tcp6"
ip netns exec $left iperf3 -c 10.2.0.1 -B 10.1.0.1 -t 4 >"$folder/iperf3.log" 2>&1 || fail "iperf3 did not come through"
grep -E 'sender|receiver' "$folder/iperf3.log" | sed 's/^/   /'

say "9. What the wire carried"
sleep 0.5
kill -INT "$tcpdump"
wait_for "the capture" grep -q "packets captured" "$folder/tcpdump.log"
count() { tcpdump -n -r "$folder/wire.pcap" "$1" 2>/dev/null | wc -l; }
esp=$(count 'esp') ike=$(count 'udp port 500 or udp port 4500')
# ip6[6] == 0: multicast listener reports, which carry a hop-by-hop option before their ICMPv6.
other='not (esp or udp port 500 or udp port 4500 or arp or icmp6 or igmp or (ip6 and ip6[6] == 0))'
clear=$(count "$other")
tcpdump -n -r "$folder/wire.pcap" 'udp port 500 or udp port 4500 or esp' 2>/dev/null | sed -n '1,6p' | sed 's/^/   /'
echo "   ... $esp packets of ESP, $ike of IKE, $clear of anything else (but ARP and the like)"
[ "$esp" -gt 100 ] && [ "$ike" -ge 4 ] || fail "the wire should have carried ESP and IKE"
[ "$clear" -eq 0 ] || { tcpdump -n -r "$folder/wire.pcap" "$other" 2>/dev/null | head -n 5; fail "$clear packets passed in clear"; }

say "10. What charon says of its kernel"
complaints=$(grep -hE '\[KNL\].*(error|fail|unable)' "$folder"/charon-*.log || true)
[ -z "$complaints" ] || fail "charon complains: $complaints"
echo "   no complaint in either log"
