#!/bin/bash
# Part of `make bench`: what the databases cost as they grow. Policies and SAs are added, dumped, deleted one by one and flushed, by `ip -batch`
# and by a client that packs 64 requests into a datagram (bench/scale.py), policies also on the kernel beneath, taking turns. Writes a page part
# to standard output.
#   COUNT=20000               entries
#   ROUNDS=3                  rounds of the first two
#   SIZES="1000 … 1000000"    sizes at which one operation is timed
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
xfrmd=${XFRMD:-$here/out/xfrmd}
count=${COUNT:-20000}
rounds=${ROUNDS:-3}
sizes=${SIZES:-1000 10000 100000 1000000}
space=xfb-scale
daemon=

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
clean_up() {
    local status=$?
    trap '' INT TERM
    trap - EXIT
    stop
    for side in daemon kernel; do ip netns del "$space-$side" 2>/dev/null || true; done
    rm -rf "$folder"
    exit "$status"
}
# A daemon, and the kernel beneath, each in a namespace of its own and empty.
start() {
    stop
    for side in daemon kernel; do
        ip netns del "$space-$side" 2>/dev/null || true
        ip netns add "$space-$side"
        ip -n "$space-$side" link set lo up
    done
    ip netns exec "$space-daemon" "$xfrmd" serve --socket "$folder/socket" >>"$folder/daemon.log" 2>&1 &
    daemon=$!
    for _ in $(seq 100); do [ ! -S "$folder/socket" ] || return 0; sleep 0.1; done
    echo "xfrmd does not start" >&2
    return 1
}
stop() {
    [ -n "$daemon" ] || return 0
    kill -TERM "$daemon" 2>/dev/null || true
    wait "$daemon" || true
    daemon=
}
on_daemon() { ip netns exec "$space-daemon" env PID="$daemon" "$xfrmd" run --socket "$folder/socket" -- "$@"; }
on_kernel() { ip netns exec "$space-kernel" "$@"; }
record() { printf '%s\t%s\n' "$1" "$2" >>"$folder/times"; }
timed() {
    local what=$1 before
    shift
    before=$EPOCHREALTIME
    "$@" >/dev/null
    record "$what" "$(awk -v a="$before" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')"
}
# One round of ip's: SIDE OBJECT.
ip_round() {
    timed "ip $1 $2 add" "on_$1" ip -batch "$folder/$2-add"
    timed "ip $1 $2 dump" "on_$1" ip xfrm "$2" list
    timed "ip $1 $2 delete" "on_$1" ip -batch "$folder/$2-delete"
    "on_$1" ip -batch "$folder/$2-add"
    timed "ip $1 $2 flush" "on_$1" ip xfrm "$2" flush
}
packed_round() {
    local what seconds
    while read -r what seconds; do record "packed $1 $2 $what" "$seconds"; done < <("on_$1" python3 "$here/bench/scale.py" batch "$2" "$count")
}
# Median with spread, in seconds.
cell() {
    awk -F'\t' -v k="$1" '$1 == k { print $2 }' "$folder/times" | sort -n \
        | awk '{ v[NR] = $1 } END { if (NR == 1) printf "%.3f", v[1]; else printf "**%.3f** (%.3f to %.3f)", v[int((NR + 1) / 2)], v[1], v[NR] }'
}
median() { awk -F'\t' -v k="$1" '$1 == k { print $2 }' "$folder/times" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
row() {
    local way=$1 what=$2
    printf '| %s | %s | %s | %.1f | %s |\n' "$what" "$(cell "$way daemon policy $what")" "$(cell "$way kernel policy $what")" \
        "$(awk -v a="$(median "$way daemon policy $what")" -v b="$(median "$way kernel policy $what")" 'BEGIN { print a / b }')" "$(cell "$way daemon state $what")"
}
table() {
    printf '\n| %s | policies, xfrmd, s | policies, kernel beneath, s | ratio | SAs, xfrmd, s |\n|---|---|---|---|---|\n' "$2"
    for what in add dump delete flush; do row "$1" "$what"; done
}
growth() {
    local title=$1 size add get delete dump memory
    printf '\n| %s | add | find | delete | one of a dump | resident, bytes each |\n|---|---|---|---|---|---|\n' "$title"
    while read -r size add get delete dump memory; do
        [ "$size" = flush ] && continue
        printf '| %s | %s | %s | %s | %s | %s |\n' "$size" "$add" "$get" "$delete" "$dump" "$([ "$memory" = 0 ] || echo $((memory * 1024 / size)))"
    done
}

[ "$(id -u)" -eq 0 ] || { echo "scale: network namespaces need root" >&2; exit 1; }
[ -x "$xfrmd" ] || { echo "scale: $xfrmd is missing; run make publish" >&2; exit 1; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/xfrmd-scale.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for object in policy state; do
    for verb in add delete; do python3 "$here/bench/scale.py" lines $object $verb "$count" >"$folder/$object-$verb"; done
done
start
for ((round = 1; round <= rounds; round++)); do
    say "scale: round $round of $rounds"
    for way in ip packed; do
        "${way}_round" kernel policy
        for object in policy state; do "${way}_round" daemon $object; done
    done
done

echo "## Scale"
printf '\n%s entries, by `ip -batch` (one socket, and eight system calls that xfrmd sees, per line) and `ip xfrm … list`, `flush`; %s rounds.\n' "$count" "$rounds"
table ip '`ip`, all entries'
printf '\nThe same by a program that puts 64 requests into a datagram (`bench/scale.py`): what is left is the work itself.\n'
table packed 'packed, all entries'
printf '\nAs the databases grow: microseconds for one, packed, timed with 5000 more at each size.\n'
say "scale: growth"
# shellcheck disable=SC2086
on_kernel python3 "$here/bench/scale.py" growth policy $sizes | growth 'policies, kernel beneath'
for object in policy state; do
    start
    # shellcheck disable=SC2086
    on_daemon python3 "$here/bench/scale.py" growth $object $sizes | growth "$([ $object = policy ] && echo policies || echo SAs), xfrmd"
done
