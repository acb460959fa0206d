#!/usr/bin/env bash
# The lab from nothing to nothing: an engine, the images, two gateways, a tunnel, a ping, a transfer, a look at the wire.
# Needs root. Installs the engine from Debian where it is missing.
# Exit code: 0 every step happened; 77 no engine or no base image could be had here, so nothing was tried; else a step failed.
set -euo pipefail
cd "$(dirname "$0")/.."
export LAB=${LAB:-/tmp/xfrmd-docker} COMPOSE_HTTP_TIMEOUT=300 DOCKER_CLI_HINTS=false
. docker/engine.sh
. docker/standin.sh
compose() { docker-compose -p xfrmd-lab -f docker/compose.yml "$@"; }
say() { printf '%4ds  %s\n' "$SECONDS" "$*"; }
fail() {
    say "FAILED: $*"
    compose logs --tail 60 left-gw right-gw 2> /dev/null || true
    exit 1
}
not_here() {
    say "docker lab NOT RUN, no engine could be had: $*"
    exit 77
}
# Slow machines are waited for: a step is tried until it succeeds, for at most a minute and a half.
insist() {
    local until=$((SECONDS + 90))
    until "$@" > "$LAB/step.log" 2>&1; do
        [ "$SECONDS" -lt "$until" ] || { cat "$LAB/step.log"; return 1; }
        sleep 1
    done
}
cleanup() {
    trap '' INT TERM
    compose down -t 1 -v > /dev/null 2>&1 || true
    engine_stop
    [ -n "${KEEP:-}" ] || rm -rf "$LAB"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ "$(id -u)" -eq 0 ] || not_here "root is needed"
missing=
for program in docker:docker.io dockerd:docker.io docker-compose:docker-compose mmdebstrap:mmdebstrap iptables:iptables; do
    command -v "${program%%:*}" > /dev/null || missing="$missing ${program#*:}"
done
if [ -n "$missing" ]; then
    say "installing from Debian:$missing"
    tests/install-tools.sh $missing || not_here "apt-get install$missing failed"
fi
engine_start build || not_here "dockerd does not start here (its last words are above)"
say "engine up"

for image in "$BASE_IMAGE" "$SDK_IMAGE"; do
    docker image inspect "$image" > /dev/null 2>&1 || timeout 300 docker pull -q "$image" > "$LAB/pull.log" 2>&1 && continue
    say "$image cannot be pulled ($(tail -n 1 "$LAB/pull.log" | cut -c1-90)): making a stand-in"
    if [ "$image" = "$BASE_IMAGE" ]; then standin_base; else standin_sdk; fi || not_here "no stand-in for $image could be made"
done
build() { docker build -q --network host --target "$1" -t "$2" -f docker/Dockerfile . >> "$LAB/build.log" 2>&1; }
# Twice: a package archive that does not answer at once is no fault of ours.
{ build lab xfrmd-lab || build lab xfrmd-lab; } && build xfrmd xfrmd || { tail -n 40 "$LAB/build.log"; fail "the image does not build"; }
size() { docker image inspect -f '{{.Size}}' "$1" | awk '{ printf "%d MB", $1 / 1000000 }'; }
say "images built: xfrmd $(size xfrmd), of which the base is $(size "$BASE_IMAGE"); with strongSwan $(size xfrmd-lab)"
engine_stop
engine_start lab || fail "the engine does not start in a network namespace of its own"
nsenter "--net=/run/netns/$LAB_NETNS" sysctl -qw net.bridge.bridge-nf-call-iptables=0 || true

# All that the image needs, and nothing else: the two capabilities and the device. Without one of them it says so.
contained() { docker run --rm --network none --cap-drop ALL --security-opt no-new-privileges --device /dev/net/tun "$@"; }
contained --cap-add NET_ADMIN --cap-add NET_RAW --entrypoint sh xfrmd -c '
    xfrmd serve 2> /dev/null & until [ -S /run/xfrmd.sock ]; do sleep 0.1; done
    xfrmd run -- ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 1 mode tunnel aead "rfc4106(gcm(aes))" 0x000102030405060708090a0b0c0d0e0f10111213 128 &&
    xfrmd state | grep -q "proto esp spi 0x00000001" && ip link show ipsec0 > /dev/null' || fail "NET_ADMIN and NET_RAW do not suffice"
! contained --cap-add NET_ADMIN xfrmd > "$LAB/step.log" 2>&1 && grep -q 'CAP_NET_RAW' "$LAB/step.log" || fail "without NET_RAW it should have said so: $(cat "$LAB/step.log")"
say "a container with NET_ADMIN, NET_RAW and /dev/net/tun is all that it takes"

insist compose up -d --no-build || fail "the lab does not come up"
say "two gateways, two hosts and the capture are up"
for gateway in left-gw right-gw; do
    insist compose exec -T "$gateway" swanctl --load-all || fail "$gateway does not load its connection"
done
insist compose exec -T left-gw swanctl --initiate --timeout 30 --child net || fail "the tunnel does not come up"
say "tunnel up"
compose exec -T left-gw xfrmd status
insist compose exec -T left-host ping -c 3 -i 0.2 -W 5 10.2.0.10 || fail "no ping goes across"
tail -n 2 "$LAB/step.log"
insist compose exec -T left-host iperf3 -c 10.2.0.10 -t 2 || fail "no transfer goes across"
grep -E 'sender|receiver' "$LAB/step.log"
compose exec -T left-gw xfrmd run -- ip -s xfrm state | grep 'proto esp' > /dev/null || fail "ip xfrm shows no SA"

on_wire() { compose exec -T capture tcpdump -n -r /tmp/wire.pcap "$1" 2> /dev/null | wc -l; }
enough_esp() { [ "$(on_wire esp)" -gt 10 ]; }
insist enough_esp || fail "only $(on_wire esp) ESP packets were seen on the wire"
clear=$(on_wire 'not (esp or udp port 500 or udp port 4500 or arp or icmp6 or igmp or (ip6 and ip6[6] == 0))')
[ "$clear" -eq 0 ] || fail "$clear packets went in clear between the gateways"
say "the wire carried $(on_wire esp) ESP packets and nothing in clear between the gateways"
cleanup
trap - EXIT
left=$(engine_leftovers)
[ -n "${KEEP:-}" ] || [ -z "$left" ] || { say "FAILED: the lab left behind"; echo "$left"; exit 1; }
say "docker lab: every step happened; all is removed"
