#!/bin/bash
# Part of `make bench`: whether traffic notices how much is installed, and what is done to it. Two gateways as in bench.sh, one tunnel of
# AES-128-GCM in raw ESP; 10,000 SAs and policies beside it, taking turns with none; 100,000 of each, dumped and changed under load; 1,000 tunnels.
# Writes a page part to standard output.
#   ROUNDS=3      rounds
#   FEW=10000     SAs and policies that lie there
#   MANY=100000   and how many for the dump and the rekeying
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
xfrmd=${XFRMD:-$here/out/xfrmd}
load=${LOAD:-$here/bench/bin/Release/net10.0/Xfrmd.Bench.dll}
rounds=${ROUNDS:-3}
few=${FEW:-10000}
many=${MANY:-100000}
tunnels=1000
reqid=4000000
key=0x000102030405060708090a0b0c0d0e0f10111213
space=xfb-flat
pids=()

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
clean_up() {
    local status=$?
    trap '' INT TERM
    trap - EXIT
    stop
    [ "$status" -eq 0 ] || tail -n 5 "$folder"/*.log >&2
    rm -rf "$folder"
    exit "$status"
}
# A function in the background is a shell, which would leave its program behind.
end() {
    local child
    for child in $(pgrep -P "$1"); do end "$child"; done
    kill -TERM "$1" 2>/dev/null || true
}
stop() {
    local pid
    for pid in "${pids[@]}"; do end "$pid"; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    pids=()
    for side in l r; do ip netns del "$space-$side" 2>/dev/null || true; done
}
background() {
    "$@" >>"$folder/background.log" 2>&1 </dev/null &
    pids+=($!)
}
inside() { ip netns exec "$space-$1" "${@:2}"; }
attached() { inside "$1" "$xfrmd" run --socket "$folder/$1.socket" -- "${@:2}"; }
scale() { attached "$1" python3 "$here/bench/scale.py" "${@:2}"; }
start() {
    local side number
    stop
    for side in l r; do ip netns add "$space-$side"; done
    ip -n "$space-l" link add wan type veth peer name wan netns "$space-r"
    for side in l r; do
        number=$([ $side = l ] && echo 1 || echo 2)
        ip -n "$space-$side" link set lo up
        ip -n "$space-$side" addr add "192.0.2.$number/24" dev wan
        ip -n "$space-$side" link set wan up
        ip -n "$space-$side" addr add "10.$number.0.1/16" dev lo
        rm -f "$folder/$side.socket"
        background inside $side "$xfrmd" serve --socket "$folder/$side.socket"
        for _ in $(seq 100); do [ ! -S "$folder/$side.socket" ] || break; sleep 0.1; done
    done
    ip -n "$space-l" route add 10.2.0.0/16 via 192.0.2.2 src 10.1.0.1
    ip -n "$space-r" route add 10.1.0.0/16 via 192.0.2.1 src 10.2.0.1
}
# Lines for ip -batch on one side: SIDE PREFIX COUNT: so many tunnels between 10.1.a.b and 10.2.a.b.
tunnel_lines() {
    awk -v side="$1" -v prefix="$2" -v count="$3" -v base="$reqid" -v key="$key" 'BEGIN {
        me = side == "l" ? 1 : 2; you = 3 - me
        for (i = 0; i < count; i++) {
            host = prefix == 16 ? "0.0" : int(i / 250) "." (i % 250 + 1)
            for (from = 1; from <= 2; from++)
                printf "xfrm state add src 192.0.2.%d dst 192.0.2.%d proto esp spi %d reqid %d mode tunnel replay-window 64 flag af-unspec aead rfc4106(gcm(aes)) %s 128\n", from, 3 - from, base + 2 * i + from, base + i, key
            printf "xfrm policy add src 10.%d.%s/%d dst 10.%d.%s/%d dir out tmpl src 192.0.2.%d dst 192.0.2.%d proto esp reqid %d mode tunnel\n", me, host, prefix, you, host, prefix, me, you, base + i
            printf "xfrm policy add src 10.%d.%s/%d dst 10.%d.%s/%d dir in tmpl src 192.0.2.%d dst 192.0.2.%d proto esp reqid %d mode tunnel\n", you, host, prefix, me, host, prefix, you, me, base + i
        } }'
}
tunnels() {
    for side in l r; do
        tunnel_lines $side "$1" "$2" >"$folder/tunnels"
        attached $side ip -batch "$folder/tunnels"
    done
}
both() { for side in l r; do scale $side "$@"; done; }
record() { printf '%s\t%s\n' "$1" "$2" >>"$folder/results"; }
median() { awk -F'\t' -v k="$1" '$1 == k { print $2 }' "$folder/results" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
cell() {
    awk -F'\t' -v k="$1" '$1 == k { print $2 }' "$folder/results" | sort -n \
        | awk -v f="$2" '{ v[NR] = $1 } END { if (NR == 1) printf f, v[1]; else printf "**" f "** (" f " to " f ")", v[int((NR + 1) / 2)], v[1], v[NR] }'
}
ratio() { awk -v a="$(median "$1")" -v b="$(median "$2")" 'BEGIN { printf "%.2f", a / b }'; }
stream() {
    inside l timeout 30 iperf3 -c 10.2.0.1 -B 10.1.0.1 -t 3 -J \
        | python3 -c 'import json, sys; print(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e9)'
}
# Throughput, and round trips beside it, while something happens: NAME COMMAND…
under_load() {
    local name=$1 busy
    shift
    "$@" >>"$folder/background.log" 2>&1 &
    busy=$!
    sleep 0.3
    (sleep 0.4 && inside l ping -n -c 400 -i 0.005 -I 10.1.0.1 10.2.0.1 | sed -n 's/.*time=\([0-9.]*\) ms.*/\1/p' | sort -n >"$folder/pings") &
    local pinging=$!
    record "$name rate" "$(stream)"
    wait $pinging || true
    record "$name p50" "$(awk '{ v[NR] = $1 } END { print v[int(NR * 0.5) + 1] * 1000 }' "$folder/pings")"
    record "$name p99" "$(awk '{ v[NR] = $1 } END { print v[int(NR * 0.99) + 1] * 1000 }' "$folder/pings")"
    end $busy
    wait $busy 2>/dev/null || true
}
# Datagrams that arrive in a second, of as many as one sender can send to so many hosts.
datagrams() {
    inside l python3 - "$1" 3 <<'PYTHON' >/dev/null &
import socket, sys, time
count, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
sockets = []
for i in range(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((f"10.1.{i // 250}.{i % 250 + 1}", 0))
    s.connect((f"10.2.{i // 250}.{i % 250 + 1}", 7000))
    sockets.append(s)
while time.monotonic() < end:
    for s in sockets:
        s.send(b"x" * 64)
PYTHON
    local sending=$! before after
    sleep 0.8
    before=$(arrived)
    sleep 2
    after=$(arrived)
    wait $sending
    echo $(((after - before) / 2))
}
arrived() { inside r cat /proc/net/snmp | awk '/^Udp: [0-9]/ { print $2 + $6 }'; }

[ "$(id -u)" -eq 0 ] || { echo "flat: network namespaces need root" >&2; exit 1; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/xfrmd-flat.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
: >"$folder/results"

start
tunnels 16 1
background inside r iperf3 -s
for _ in $(seq 100); do inside l bash -c 'echo >/dev/tcp/10.2.0.1/5201' 2>/dev/null && break; sleep 0.1; done
stream >/dev/null
for ((round = 1; round <= rounds; round++)); do
    say "flat: round $round of $rounds, $few entries"
    record one "$(stream)"
    for object in state policy; do both fill $object "$few"; done
    record few "$(stream)"
    for object in state policy; do both drain $object "$few"; done
done
say "flat: $many entries"
for object in state policy; do both fill $object "$many"; done
for ((round = 1; round <= rounds; round++)); do
    under_load still sleep 8
    under_load dumps scale l repeat state 1
    under_load dump scale l repeat state 0
    under_load spin sh -c 'while :; do :; done'
    under_load rekey scale l churn state "$many"
done
for ((round = 1; round <= rounds; round++)); do
    say "flat: round $round of $rounds, $tunnels flows in one tunnel, and in as many"
    for how in '16 1 one' "32 $tunnels many"; do
        read -r prefix count name <<<"$how"
        start
        tunnels "$prefix" "$count"
        background inside r dotnet "$load" load receive 7000
        sleep 1
        datagrams $tunnels >/dev/null
        [ "$name" = many ] || record 'one flow' "$(datagrams 1)"
        record "flows in $name" "$(datagrams $tunnels)"
    done
done

echo "## Flatness"
printf '\nOne TCP stream over raw ESP, AES-128-GCM, Gbit/s; %s rounds, taking turns (`bench/flat.sh`).\n' "$rounds"
printf '\n| | Gbit/s | to the first |\n|---|---|---|\n'
printf '| one tunnel | %s | |\n' "$(cell one %.2f)"
printf '| beside %s SAs and %s policies | %s | %s |\n' "$few" "$few" "$(cell few %.2f)" "$(ratio few one)"
printf '\n| beside %s SAs and %s policies | Gbit/s | round trip, p50, µs | p99, µs |\n|---|---|---|---|\n' "$many" "$many"
for what in 'still|nothing happens' 'dumps|all SAs are dumped, a second between' 'dump|all SAs are dumped, again and again' \
    'spin|a program computes, and asks for nothing' 'rekey|SAs are added and deleted, again and again'; do
    name=${what%%|*}
    printf '| %s | %s | %s | %s |\n' "${what#*|}" "$(cell "$name rate" %.2f)" "$(cell "$name p50" %.0f)" "$(cell "$name p99" %.0f)"
done
printf '\nUDP of 64 bytes, one sender: %s a second arrive of one flow, whose datagrams are written to the TUN many at a time; of %s flows in turn %s through one tunnel, %s through %s (%s).\n' \
    "$(cell 'one flow' %.0f)" "$tunnels" "$(cell 'flows in one' %.0f)" "$(cell 'flows in many' %.0f)" "$tunnels" "$(ratio 'flows in many' 'flows in one')"
