#!/usr/bin/env bash
# OpenIKED speaks PF_KEY, which kernels leave out more and more: two of them, unmodified, on xfrmd's PF_KEY, and a ping through.
. "$(dirname "$0")/../lab.sh"

say "two machines, left (192.0.2.1, 10.1.0.1) and right (192.0.2.2, 10.2.0.1), each with its xfrmd"
machine left
machine right
cable left 192.0.2.1/24 right 192.0.2.2/24
ip -n "$prefix-left" addr add 10.1.0.1/32 dev lo
ip -n "$prefix-right" addr add 10.2.0.1/32 dev lo
on left ip route add 10.2.0.1 via 192.0.2.2 src 10.1.0.1
on right ip route add 10.1.0.1 via 192.0.2.1 src 10.2.0.1
serve left right

say "iked on each: xfrmd run -- iked"
iked=$(command -v iked) || fail "iked is missing: apt-get install openiked"
iked() { # machine, active or passive, own address and net, the other's
    printf 'ikev2 "example" %s esp from %s to %s local %s peer %s psk "what both know"\n' "$2" "$4" "$6" "$3" "$5" >"$folder/$1/iked.conf"
    chmod 600 "$folder/$1/iked.conf"
    # iked gives PF_KEY one millisecond to answer and gives up where a busy machine takes longer: started again, as a service manager would.
    # shellcheck disable=SC2016
    start "$1" sh -c 'while :; do "$@"; sleep 0.5; done' iked "$xfrmd" run -- "$iked" -dd -f /run/iked.conf
}
iked right passive 192.0.2.2 10.2.0.1 192.0.2.1 10.1.0.1
iked left active 192.0.2.1 10.1.0.1 192.0.2.2 10.2.0.1
watch right to-left

say "the SAs that they negotiate"
has_sas() { [ "$(attached left ip xfrm state list nokeys | grep -c 'proto esp')" -ge 2 ]; }
wait_for "two SAs" has_sas
attached left ip xfrm state list nokeys | grep -E '^src|proto esp' | quote

say "ping 10.2.0.1"
wait_for "an answer through the tunnel" on left ping -n -c 1 -W 1 -I 10.1.0.1 10.2.0.1
pings left -I 10.1.0.1 10.2.0.1
stop_watching
nothing_clear right
echo "   $(count right esp) ESP packets on the wire, none in clear"
