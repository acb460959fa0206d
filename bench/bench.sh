#!/bin/bash
# `make bench`: xfrmd, strongSwan's kernel-libipsec, wireguard-go and the bare cable on one topology, in one run, taking turns.
# Everything is made in network namespaces of its own and removed at the end. Writes docs/benchmarks.md.
#   ROUNDS=3       rounds; each contender has each load once a round
#   SECONDS_TCP=3  length of one TCP load
#   CONTENDERS=…   some of them
#   PARTS=…        further parts (scale flat), which take as long again; none where empty
#   OUTPUT=…       where the page goes (docs/benchmarks.md)
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
xfrmd=${XFRMD:-$here/out/xfrmd}
load=${LOAD:-$here/bench/bin/Release/net10.0/Xfrmd.Bench.dll}
rounds=${ROUNDS:-3}
tcp_seconds=${SECONDS_TCP:-3}
contenders=${CONTENDERS:-gcm gcm-udp chacha cbc libipsec wireguard veth}
output=${OUTPUT:-$here/docs/benchmarks.md}
cache=${BENCH_CACHE:-$here/out/bench-peers}
prefix=xfb
pids=()

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
fail() {
    echo "bench: $*" >&2
    for log in "$folder"/*.log; do [ -s "$log" ] && { echo "--- $(basename "$log")"; tail -n 15 "$log"; } >&2; done
    exit 1
}
remove_namespaces() {
    local name pid
    for name in $(ip netns list | awk -v p="^$prefix-" '$1 ~ p { print $1 }'); do
        for pid in $(ip netns pids "$name"); do kill -KILL "$pid" 2>/dev/null || true; done
        ip netns del "$name" || true
    done
}
clean_up() {
    local status=$? i
    trap '' INT TERM
    trap - EXIT
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill -TERM "${pids[i]}" 2>/dev/null || true; done
    sleep 1
    remove_namespaces
    [ -z "${folder:-}" ] || [ -n "${KEEP:-}" ] || rm -rf "$folder"
    exit "$status"
}

[ "$(id -u)" -eq 0 ] || { echo "bench: network namespaces need root; run it with sudo" >&2; exit 1; }
[ -x "$xfrmd" ] || { echo "bench: $xfrmd is missing; run make publish" >&2; exit 1; }
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
remove_namespaces
folder=$(mktemp -d "${TMPDIR:-/tmp}/xfrmd-bench.XXXXXX")
results=$folder/results.tsv
: >"$results"

# --- the peers, from Debian: unpacked aside, so that no program of this machine changes its behaviour

fetch_peers() {
    [ -x "$cache/usr/bin/wireguard-go" ] && [ -e "$cache/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so" ] && [ -x "$cache/usr/bin/wg" ] && return
    say "fetching wireguard-go of bookworm-backports, wireguard-tools and libcharon-extra-plugins"
    local debs=$folder/debs deb
    mkdir -p "$cache" "$debs"
    (
        cd "$debs"
        "$here/tests/from-suite.sh" bookworm-backports wireguard-go || exit 1
        apt-get -q update && apt-get -q -o APT::Sandbox::User=root download wireguard-tools "libcharon-extra-plugins=$(dpkg-query -W -f '${Version}' strongswan-libcharon)"
        for deb in *.deb; do
            dpkg-deb -x "$deb" "$cache"
            dpkg-deb -f "$deb" Package Version | sed 's/^[^:]*: //' | paste -sd ' ' >>"$cache/versions"
        done
    ) >"$folder/apt.log" 2>&1 || fail "the peers are not to be had"
}

# --- topology: two gateways with an address of the network behind them, a cable between

pair() {
    local side number space
    ip netns add "$prefix-$1-l"
    ip netns add "$prefix-$1-r"
    ip -n "$prefix-$1-l" link add wan type veth peer name wan netns "$prefix-$1-r"
    for side in l r; do
        space=$prefix-$1-$side number=$(number $side)
        ip -n "$space" link set lo up
        ip -n "$space" addr add "192.0.2.$number/24" dev wan
        ip -n "$space" link set wan up
        ip -n "$space" link add lan type bridge
        ip -n "$space" addr add "10.$number.0.1/16" dev lan
        ip -n "$space" link set lan up
        mkdir -p "$folder/$space"
    done
    # Debian's sysctl default; a route to the other network, as a gateway has one.
    ip -n "$prefix-$1-l" route add 10.2.0.0/16 via 192.0.2.2 src 10.1.0.1
    ip -n "$prefix-$1-r" route add 10.1.0.0/16 via 192.0.2.1 src 10.2.0.1
}
number() { [ "$1" = l ] && echo 1 || echo 2; }
other() { [ "$1" = l ] && echo 2 || echo 1; }

wait_for() {
    local what=$1
    shift
    for _ in $(seq 200); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
    fail "waited in vain for $what"
}
# Runs a program in a namespace with a /run of its own.
inside() {
    local space=$1
    shift
    ip netns exec "$space" /bin/sh -c 'mount --bind "$0" /run && exec "$@"' "$folder/$space" "$@"
}
# The same in the background; its pid is written beside it for the resident memory.
start() {
    local space=$1 name=$2
    shift 2
    (exec ip netns exec "$space" /bin/sh -c 'mount --bind "$0" /run && exec "$@"' "$folder/$space" "$@") >>"$folder/$space-$name.log" 2>&1 </dev/null &
    pids+=($!)
    echo $! >"$folder/$space/$name.pid"
}

serve() {
    local side space
    pair "$1"
    for side in l r; do
        space=$prefix-$1-$side
        start "$space" measured "$xfrmd" serve --socket /run/xfrmd.sock
        wait_for "xfrmd in $space" test -S "$folder/$space/xfrmd.sock"
    done
}
# Keys by hand, with ip xfrm: name, then the algorithms.
manual() {
    local name=$1 side space me you ip_xfrm
    shift
    serve "$name"
    for side in l r; do
        space=$prefix-$name-$side me=$(number $side) you=$(other $side)
        ip_xfrm="inside $space $xfrmd run --socket /run/xfrmd.sock -- ip xfrm"
        for spi in 1 2; do
            $ip_xfrm state add src "192.0.2.$spi" dst "192.0.2.$((3 - spi))" proto esp spi "0x10$spi" reqid 1 mode tunnel replay-window 64 flag af-unspec "$@"
        done
        $ip_xfrm policy add src "10.$me.0.0/16" dst "10.$you.0.0/16" dir out tmpl src "192.0.2.$me" dst "192.0.2.$you" proto esp reqid 1 mode tunnel
        for dir in in fwd; do
            $ip_xfrm policy add src "10.$you.0.0/16" dst "10.$me.0.0/16" dir $dir tmpl src "192.0.2.$you" dst "192.0.2.$me" proto esp reqid 1 mode tunnel
        done
    done
}
swanctl_conf() {
    local me=$1 you=$2
    cat <<EOF
connections { bench { version = 2
  local_addrs = 192.0.2.$me
  remote_addrs = 192.0.2.$you
  encap = yes
  local { auth = psk }
  remote { auth = psk }
  children { net { local_ts = 10.$me.0.0/16
    remote_ts = 10.$you.0.0/16
    esp_proposals = aes128gcm16 } } } }
secrets { ike { secret = "a secret that both know" } }
EOF
}
# Its plugins by name: some that a machine may have (forecast) read every packet of the link themselves.
charon_conf() { echo "charon { load = random nonce openssl aes sha1 sha2 hmac gcm kdf pem pkcs1 x509 pubkey $* kernel-netlink socket-default vici updown
}"; }
initiate() {
    local name=$1 side space
    for side in l r; do
        space=$prefix-$name-$side
        wait_for "charon in $space" test -S "$folder/$space/charon.vici"
        swanctl_conf "$(number $side)" "$(other $side)" >"$folder/$space/swanctl.conf"
        inside "$space" swanctl --load-all --file /run/swanctl.conf >>"$folder/swanctl.log" 2>&1
    done
    inside "$prefix-$name-l" swanctl --initiate --child net --timeout 20 >>"$folder/swanctl.log" 2>&1 || fail "$name: no tunnel"
}

set_up() {
    local side space key
    say "setting up $1"
    case $1 in
        gcm) manual gcm aead 'rfc4106(gcm(aes))' 0x000102030405060708090a0b0c0d0e0f10111213 128 ;;
        chacha) manual chacha aead 'rfc7539esp(chacha20,poly1305)' 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223 128 ;;
        cbc) manual cbc enc 'cbc(aes)' 0x000102030405060708090a0b0c0d0e0f auth-trunc 'hmac(sha256)' 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 128 ;;
        gcm-udp)
            serve gcm-udp
            charon_conf >"$folder/charon.conf"
            for side in l r; do
                space=$prefix-gcm-udp-$side
                start "$space" charon env STRONGSWAN_CONF="$folder/charon.conf" "$xfrmd" run --socket /run/xfrmd.sock -- /usr/lib/ipsec/charon
            done
            initiate gcm-udp
            ;;
        libipsec)
            pair libipsec
            # Debian's libraries and plugins, and among them the one that is measured.
            mkdir "$folder/ipsec"
            cp -a /usr/lib/ipsec/. "$folder/ipsec/"
            cp -a "$cache"/usr/lib/ipsec/libipsec.so* "$folder/ipsec/"
            cp -a "$cache/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so" "$folder/ipsec/plugins/"
            charon_conf kernel-libipsec >"$folder/libipsec.conf"
            for side in l r; do
                space=$prefix-libipsec-$side
                start "$space" measured /bin/sh -c 'mount --bind "$0" /usr/lib/ipsec && exec env STRONGSWAN_CONF="$1" /usr/lib/ipsec/charon' "$folder/ipsec" "$folder/libipsec.conf"
            done
            initiate libipsec
            ;;
        wireguard)
            pair wireguard
            for side in l r; do
                space=$prefix-wireguard-$side
                (umask 077 && "$cache/usr/bin/wg" genkey >"$folder/$space/key")
                "$cache/usr/bin/wg" pubkey <"$folder/$space/key" >"$folder/$space/public"
                start "$space" measured "$cache/usr/bin/wireguard-go" -f "$prefix$side"
                wait_for "wireguard-go" test -S "$folder/$space/wireguard/$prefix$side.sock"
            done
            for side in l r; do
                space=$prefix-wireguard-$side me=$(number $side) you=$(other $side) key=$([ $side = l ] && echo r || echo l)
                inside "$space" "$cache/usr/bin/wg" set "$prefix$side" listen-port 51820 private-key /run/key \
                    peer "$(cat "$folder/$prefix-wireguard-$key/public")" endpoint "192.0.2.$you:51820" allowed-ips "10.$you.0.0/16"
                ip -n "$space" link set "$prefix$side" up
                ip -n "$space" route replace "10.$you.0.0/16" dev "$prefix$side" src "10.$me.0.1"
            done
            ;;
        veth) pair veth ;;
        *) fail "no such contender: $1" ;;
    esac
    start "$prefix-$1-r" sink dotnet "$load" load receive 7000
    start "$prefix-$1-r" iperf iperf3 -s -p 5201
    wait_for "iperf3 in $1" ip netns exec "$prefix-$1-l" bash -c 'echo > /dev/tcp/10.2.0.1/5201'
    wait_for "the sink of $1" grep -q ready "$folder/$prefix-$1-r-sink.log"
    ip netns exec "$prefix-$1-l" ping -q -c 2 -i 0.2 -I 10.1.0.1 10.2.0.1 >/dev/null || fail "$1: no way through"
}

# --- loads

record() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$results"; }
busy() { awk '/^cpu /{ print $2 + $3 + $4 + $6 + $7 + $8 }' /proc/stat; }
iperf() { ip netns exec "$prefix-$1-l" timeout 30 iperf3 -c 10.2.0.1 -B 10.1.0.1 -J "${@:2}"; }
field() { python3 -c 'import json,sys; e=json.load(sys.stdin)["end"]; print(eval(sys.argv[1]))' "$1"; }
# Percentiles in microseconds of what ping printed.
percentiles() { sed -n 's/.*time=\([0-9.]*\) ms.*/\1/p' | sort -n | awk '{ v[NR] = $1 } END { if (NR) printf "%d %d\n", v[int(NR * 0.5) + 1] * 1000, v[int(NR * 0.99) + 1] * 1000 }'; }
ping_many() { ip netns exec "$prefix-$1-l" ping -n -c "$2" -i "$3" -I 10.1.0.1 10.2.0.1 2>/dev/null | percentiles; }

measure() {
    local name=$1 before after json p50 p99 size
    read -r p50 p99 < <(ping_many "$name" 500 0.002) && record "$name" idle_p50 "$p50" && record "$name" idle_p99 "$p99"

    before=$(busy)
    json=$(iperf "$name" -t "$tcp_seconds") || { say "$name: TCP failed"; return; }
    after=$(busy)
    record "$name" tcp1 "$(field 'e["sum_received"]["bits_per_second"]/1e9' <<<"$json")"
    record "$name" cpu "$(field "$((after - before))/$(getconf CLK_TCK)/(e['sum_received']['bytes']/1e9)" <<<"$json")"

    json=$(iperf "$name" -t "$tcp_seconds" -P 4) && record "$name" tcp4 "$(field 'e["sum_received"]["bits_per_second"]/1e9' <<<"$json")"
    json=$(iperf "$name" -t "$tcp_seconds" --bidir) \
        && record "$name" bidir "$(field '(e["sum_received"]["bits_per_second"]+e["sum_received_bidir_reverse"]["bits_per_second"])/1e9' <<<"$json")"

    iperf "$name" -t 2 >/dev/null &
    local stream=$!
    sleep 0.4
    read -r p50 p99 < <(ping_many "$name" 200 0.005) && record "$name" load_p50 "$p50" && record "$name" load_p99 "$p99"
    wait $stream || true

    for size in 64 512 1400; do
        # 1400 bytes of payload do not fit into a tunnel's packet unfragmented; what fits everywhere is sent.
        record "$name" "udp$size" "$(ip netns exec "$prefix-$name-l" timeout 60 dotnet "$load" load search 10.2.0.1 7000 "$([ "$size" = 1400 ] && echo 1372 || echo "$size")")"
    done

    local side pid total=0
    for side in l r; do
        [ -e "$folder/$prefix-$name-$side/measured.pid" ] || continue
        pid=$(cat "$folder/$prefix-$name-$side/measured.pid")
        total=$((total + $(awk '/^VmRSS/{ print $2 }' "/proc/$pid/status")))
    done
    [ "$total" -eq 0 ] || record "$name" rss $((total / 2048))
}

case " $contenders " in *" libipsec "* | *" wireguard "*) fetch_peers ;; esac
for name in $contenders; do set_up "$name"; done
# Each round begins with another, so that nobody always comes behind the same.
read -ra turn <<<"$contenders"
for ((round = 1; round <= rounds; round++)); do
    for ((i = 0; i < ${#turn[@]}; i++)); do
        name=${turn[(round - 1 + i) % ${#turn[@]}]}
        say "round $round of $rounds: $name"
        measure "$name"
    done
done

{
    echo "machine	$(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(awk '/^MemTotal/{ printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo), Linux $(uname -r)"
    echo "load	$(cut -d' ' -f1 /proc/loadavg) at the end"
    echo "xfrmd	$("$xfrmd" --version) at $(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo '?')"
    echo "cryptography	$("$xfrmd" doctor --json | python3 -c 'import json, sys; print(next(c["found"] for c in json.load(sys.stdin) if c["name"] == "cryptography"))')"
    echo "strongSwan	$(dpkg-query -W -f '${Version}' strongswan-libcharon)"
    echo "peers	$(sort -u "$cache/versions" 2>/dev/null | paste -sd, | sed 's/,/, /g')"
    echo "iperf3	$(iperf3 --version | sed -n '1s/iperf //p')"
    echo "rounds	$rounds"
    echo "seconds	$tcp_seconds"
} >"$folder/facts.tsv"
for part in ${PARTS-scale flat}; do
    say "$part"
    "$here/bench/$part.sh" >"$folder/$part.md" 2>"$folder/$part.log" || say "$part.sh failed: $(tail -n 1 "$folder/$part.log")"
done
cp "$here/bench/profile.md" "$folder/profile.md"
dotnet "$load" report "$folder" >"$folder/page.md"
cat "$folder/page.md"
cp "$folder/page.md" "$output"
say "wrote $output"
