#!/bin/bash
# charon on xfrmd, here, against the same charon on a real Linux kernel in qemu, over a tap: each family of algorithms in tunnel and transport
# mode, raw and in UDP, IPv4 and IPv6 outside, ESN, AH, IPComp; rekeying from either side, traps from either side, deletion by either side.
# Wants root and Debian packages alone. The kernel comes from the oracle beside the repository (../shared/oracle/kernel), which is copied to a
# scratch folder first, as it unpacks there; KERNEL_SCRATCH names a folder that is kept, so that the next run needs no download.
# Arguments: nothing for everything, or patterns of case names ("udp-gcm*").
set -u
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
xfrmd=${XFRMD:-$root/out/xfrmd}
script=kernel-test oracle_kernel=${ORACLE_KERNEL:-$root/../shared/oracle/kernel}
# shellcheck source=tests/kernel/guest.sh
. "$here/guest.sh"

net=xfrmd-kernel-$$
daemon='' charon='' guest=''
finish() {
    touch "$work/share/stop" 2>/dev/null
    [ -z "$charon" ] || kill "$charon" 2>/dev/null
    for _ in $(seq 50); do [ -n "$charon" ] && kill -0 "$charon" 2>/dev/null || break; sleep 0.1; done
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null
    if [ -n "$guest" ]; then
        for _ in $(seq 100); do kill -0 "$guest" 2>/dev/null || break; sleep 0.1; done
        for pid in $(ip netns pids "$net" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
        wait "$guest" 2>/dev/null
    fi
    put_away "$net"
}
trap finish EXIT
trap 'exit 1' INT TERM

# 1. The real kernel.
unpack_kernel iputils-ping iperf3 strongswan-charon strongswan-swanctl libstrongswan-standard-plugins libstrongswan-extra-plugins

# 2. Two machines and a wire: 10.99.0.1 here, 10.99.0.2 there, 10.98.1.1 and 10.98.2.1 behind them; the same with IPv6.
mkdir -p "$work/share" "$work/run"
ip netns add "$net"
host() { ip netns exec "$net" "$@"; }
host ip link set lo up
host sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad'
host ip tuntap add tap0 mode tap
host sh -c 'ip addr add 10.99.0.1/24 dev tap0; ip addr add fd99::1/64 dev tap0; ip link set tap0 up; ip addr add 10.98.1.1/32 dev lo; ip addr add fd98:1::1/128 dev lo
    ip route add default via 10.99.0.2; ip -6 route add default via fd99::2'

# Connections of one side; both sides have all of them. Each case has its own, told apart by its names for the peers: of several children of
# one connection that have the same selectors charon takes the first. The window is wide because the guest's only CPU is slow: what a process sends is
# overtaken, once numbered, by all that an interrupt then sends.
configuration() { # own number, other's number
    local kind name options mode own other networks encap
    connection() { # name, mode, options
        printf '%s {\nversion=2\nlocal_addrs=%s\nremote_addrs=%s\nproposals=aes128-sha256-curve25519\nencap=%s\nrekey_time=0\nlocal {\nauth=psk\nid=%s\n}\nremote {\nauth=psk\nid=%s\n}\nchildren {\n%s {\nmode=%s\nrekey_time=0\nreplay_window=1024\n%s\n}\n}\n}\n' \
            "$1" $own $other $encap "$1.$number" "$1.$peer" "$1" "$2" "$(echo "$3" | tr ';' '\n')"
    }
    local number=$1 peer=$2
    echo "connections {"
    for kind in raw udp six sixudp; do
        case $kind in
            six*) own=fd99::$1 other=fd99::$2 networks="local_ts=fd98:$1::1/128;remote_ts=fd98:$2::1/128";;
            *) own=10.99.0.$1 other=10.99.0.$2 networks="local_ts=10.98.$1.1/32;remote_ts=10.98.$2.1/32";;
        esac
        case $kind in *udp) encap=yes;; *) encap=no;; esac
        while read -r name _ options; do
            connection $kind-$name-tunnel tunnel "$networks;$options"
            connection $kind-$name-transport transport "$options"
        done <"$work/algorithms"
        # Other networks: what they trap would be covered by a connection of the same networks.
        connection $kind-trap tunnel "local_ts=10.97.$1.1/32;remote_ts=10.97.$2.1/32;esp_proposals=aes128gcm16"
    done
    printf '}\nsecrets {\nike-1 {\nsecret=abc\n}\n}\n'
}
grep -v "^#" "$here/algorithms" >"$work/algorithms"
configuration 1 2 >"$work/host.conf"
configuration 2 1 >"$work/share/guest.conf"
host sh -c 'ip addr add 10.97.1.1/32 dev lo'

# 3. The guest: Debian's charon with Debian's configuration, then whatever is put into the share.
cat >"$work/share/go.sh" <<'END'
. ./mods.sh
# With these a packet is decrypted before it has a route, and Linux 6.12 then drops what is IPComp inside (XfrmInError).
rmmod esp4_offload esp6_offload
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad
I=$(ls /sys/class/net | grep -E '^(eth|ens|enp)' | head -1)
echo 0 > /proc/sys/net/ipv6/conf/$I/accept_dad
ip addr add 10.99.0.2/24 dev $I; ip addr add fd99::2/64 dev $I; ip link set $I up; ip addr add 10.98.2.1/32 dev lo; ip addr add fd98:2::1/128 dev lo; ip addr add 10.97.2.1/32 dev lo
ip route add default via 10.99.0.1; ip -6 route add default via fd99::1
STRONGSWAN_CONF=/tmp/share/strongswan.conf /usr/lib/ipsec/charon > /tmp/share/charon.log 2>&1 &
C=$!
for i in $(seq 200); do [ -S /run/charon.vici ] && break; sleep 0.1; done
swanctl --load-all --file guest.conf || exit 1
iperf3 -s -D
touch ready
n=1
while [ ! -e stop ]; do
    if [ -e cmd.$n ]; then bash cmd.$n > out.$n 2>&1; echo $? > rc.tmp; mv rc.tmp rc.$n; n=$((n + 1)); else sleep 0.05; fi
done
kill $C; sleep 0.3
exit 0
END
cp "$scratch/kernel/mods.sh" "$work/share/"
# A plugin of libcharon-extra-plugins, where this machine has them, that opens a raw socket for UDP: to it IKE is what a transport policy wants protected,
# and Linux counts it.
printf 'include /etc/strongswan.conf\ncharon {\nplugins {\nforecast {\nload = no\n}\n}\n}\n' >"$work/share/strongswan.conf"
start_guest() {
    rm -f "$work/share"/{ready,stop,poweroff} "$work/share"/{cmd,rc,out}.*
    host "$scratch/kernel/bin/qemu-run" "$scratch/kernel/k612" "$work/share" go.sh 1500 -netdev tap,id=n0,ifname=tap0,script=no,downscript=no \
        -device virtio-net-pci,netdev=n0,mac=02:00:00:00:99:02 >"$work/guest.rc" 2>&1 &
    guest=$!
    count=0
}
await_guest() {
    for _ in $(seq 600); do [ -e "$work/share/ready" ] && return; kill -0 $guest || break; sleep 0.2; done
    cat "$work/share/qemu.log" "$work/share/console.log" 2>/dev/null
    die "the guest did not come up"
}
start_guest
host "$xfrmd" serve --socket "$work/xfrmd.sock" >"$work/xfrmd.log" 2>&1 &
daemon=$!
for _ in $(seq 100); do [ -S "$work/xfrmd.sock" ] && break; sleep 0.1; done
printf 'include %s\ncharon {\nfilelog {\nlog {\npath = %s\nflush_line = yes\ndefault = 1\n}\n}\n}\n' "$work/share/strongswan.conf" "$work/charon.log" >"$work/strongswan.conf"
here() { host unshare -m sh -c 'mount --bind "$0" /run && exec "$@"' "$work/run" "$@"; }
host unshare -m sh -c 'mount --bind "$0" /run && exec "$@"' "$work/run" env STRONGSWAN_CONF="$work/strongswan.conf" "$xfrmd" run --socket "$work/xfrmd.sock" -- /usr/lib/ipsec/charon >/dev/null 2>&1 &
charon=$!
await_guest
for _ in $(seq 100); do [ -S "$work/run/charon.vici" ] && break; sleep 0.1; done
here swanctl --load-all --file "$work/host.conf" >"$work/load.log" 2>&1 || { cat "$work/load.log"; die "swanctl cannot load"; }

there() { # runs a shell line in the guest
    count=$((count + 1))
    printf '%s\n' "$*" >"$work/share/cmd.tmp" && mv "$work/share/cmd.tmp" "$work/share/cmd.$count"
    for _ in $(seq 1200); do [ -e "$work/share/rc.$count" ] && break; kill -0 "$guest" 2>/dev/null || break; sleep 0.05; done
    cat "$work/share/out.$count" 2>/dev/null
    return "$(cat "$work/share/rc.$count" 2>/dev/null || echo 124)"
}
xfrm() { host "$xfrmd" run --socket "$work/xfrmd.sock" -- ip xfrm "$@"; }

passed=0 failed=0 log="$work/case.log"
: >"$work/drops"
try() { "$@" >>"$log" 2>&1 || { echo "failed: $*" >>"$log"; return 1; }; }
# Counters of both kernels that a good tunnel never moves: a trap's first packets wait for an SA, and a packet that was on its way when its SA was
# deleted finds none.
drops() {
    host "$xfrmd" stats --socket "$work/xfrmd.sock" | grep -E '^Xfrm'
    there "awk '\$2 > 0 {print \"guest:\" \$1 \"=\" \$2}' /proc/net/xfrm_stat"
}
undropped() {
    drops >"$work/drops.all"   # no pipe: `there` counts in this shell
    grep -vE "XfrmOutNoStates|XfrmInNoStates" "$work/drops.all" >"$work/drops.now"
    cmp -s "$work/drops" "$work/drops.now" && return 0
    echo "failed: packets were dropped:" >>"$log"
    diff "$work/drops" "$work/drops.now" >>"$log"
    mv "$work/drops.now" "$work/drops"
    return 1
}
traffic() { # addresses of here and there
    try host ping -n -q -c 3 -i 0.2 -W 3 -s 1000 -I "$1" "$2" && try there ping -n -q -c 2 -i 0.2 -W 3 -I "$2" "$1" \
        && try host ping -n -q -c 1 -W 5 -s 4000 -I "$1" "$2" && try host timeout 60 iperf3 -c "$2" -B "$1" -t 1 --bidir --connect-timeout 5000
}
# Linux 6.12 in an emulator now and then overwrites its own memory and panics: that is no answer. It is started anew, and the case is repeated, a few times in all.
panics=0
has_panicked() {
    kill -0 "$guest" 2>/dev/null && return 1
    grep -q 'Kernel panic' "$work/share/qemu.log" && [ $panics -lt 3 ] || return 1
    panics=$((panics + 1))
    echo "the guest's kernel has panicked ($(grep -m 1 -oE 'RIP: [0-9]+:[^ ]+' "$work/share/qemu.log")); started anew"
    wait "$guest" 2>/dev/null
    start_guest
    await_guest
    here swanctl --terminate --ike "$1" --force --timeout 10 >/dev/null 2>&1
    xfrm state flush
    drops >"$work/drops.all"
    grep -vE "XfrmOutNoStates|XfrmInNoStates" "$work/drops.all" >"$work/drops"
    return 0
}
report() { # name, success
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "passed $1"; else
        failed=$((failed + 1)); echo "FAILED $1"; grep -n '^failed:' "$log"; sed 's/^/    /' "$log" | tail -n 60
        kill -0 "$guest" 2>/dev/null && kill -0 "$daemon" 2>/dev/null || die "the guest or xfrmd has ended"
    fi
}
wanted() { [ ${#patterns[@]} = 0 ] && return 0; local p; for p in "${patterns[@]}"; do case $1 in $p) return 0;; esac; done; return 1; }
patterns=("$@")
turn=0

one() { # connection, child
    local child=$1-$2 own=10.98.1.1 other=10.98.2.1
    case $child in six*-transport) own=fd99::1 other=fd99::2;; six*) own=fd98:1::1 other=fd98:2::1;; *-transport) own=10.99.0.1 other=10.99.0.2;; esac
    wanted "$child" || return
    : >"$log"
    turn=$((1 - turn))
    {
        if [ $turn = 1 ]; then try here swanctl --initiate --child "$child" --timeout 20; else try there swanctl --initiate --child "$child" --timeout 20; fi \
            && traffic $own $other \
            && try here swanctl --rekey --child "$child" && sleep 0.3 && try host ping -n -q -c 2 -i 0.2 -W 3 -I $own $other \
            && try there swanctl --rekey --child "$child" && sleep 0.3 && try host ping -n -q -c 2 -i 0.2 -W 3 -I $own $other \
            && { if [ $turn = 1 ]; then try there swanctl --terminate --ike "$child" --timeout 10; else try here swanctl --terminate --ike "$child" --timeout 10; fi; }
    }
    local ok=$?
    sleep 0.2
    if has_panicked "$child"; then turn=$((1 - turn)); one "$1" "$2"; return; fi
    undropped || ok=1
    xfrm state | grep -q "spi 0x0*[1-9a-f]" && { echo "SAs are left:" >>"$log"; xfrm state >>"$log"; ok=1; }
    [ $ok = 0 ] || { drops >>"$log"; there "ip -s xfrm state; tail -n 15 charon.log" >>"$log"; tail -n 15 "$work/charon.log" >>"$log"; here swanctl --terminate --ike "$child" --timeout 10 >/dev/null 2>&1; }
    report "$child" $ok
}
for kind in raw udp six sixudp; do
    while read -r name kinds _; do
        case ,$kinds, in *,$kind,*) ;; *) continue;; esac
        for mode in tunnel transport; do one $kind "$name-$mode" </dev/null; done
    done <"$work/algorithms"
done

# IKE_SAs are rekeyed under traffic, from either side.
again() { # kind
    wanted "$1-ike" || return
    : >"$log"
    local name=$1-gcm-tunnel
    try here swanctl --initiate --child "$name" --timeout 20 && try here swanctl --rekey --ike "$name" && sleep 0.5 && traffic 10.98.1.1 10.98.2.1 \
        && try there swanctl --rekey --ike "$name" && sleep 0.5 && traffic 10.98.1.1 10.98.2.1 && try there swanctl --terminate --ike "$name" --timeout 10 && undropped
    report "$1-ike" $?
}
again raw
again udp

# Traps: the first packet makes its side's charon start.
trapped() { # kind, who
    wanted "$1-trap-$2" || return
    : >"$log"
    local ok
    if [ "$2" = here ]; then
        try here swanctl --install --child "$1-trap" && try host ping -n -q -c 10 -i 0.3 -W 2 -I 10.97.1.1 10.97.2.1 && try here swanctl --list-sas && grep -q "$1-trap" "$log"
    else
        try there swanctl --install --child "$1-trap" && try there ping -n -q -c 10 -i 0.3 -W 2 -I 10.97.2.1 10.97.1.1 && try there swanctl --list-sas && grep -q "$1-trap" "$log"
    fi
    ok=$?
    undropped || ok=1
    here swanctl --uninstall --child "$1-trap" >/dev/null 2>&1
    there swanctl --uninstall --child "$1-trap" >/dev/null 2>&1
    here swanctl --terminate --ike "$1-trap" --timeout 10 >/dev/null 2>&1
    report "$1-trap-$2" $ok
}
for kind in raw udp; do trapped $kind here; trapped $kind there; done

echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
