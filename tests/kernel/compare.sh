#!/bin/bash
# Random scenarios of NETLINK_XFRM and PF_KEY (scenarios.py), answered by a real Linux 6.12 in qemu and by xfrmd, and compared byte for byte
# (compare.py). SEED, COUNT and THEMES choose them; KERNEL_SCRATCH names a folder that is kept, so that the next run needs no download; KEEP=1 keeps
# the recordings. LINUX=6.18 asks that, also for what came since 6.12 (theme since_6_12); docs/compat.md says what it answers otherwise. Wants root,
# and the oracle beside the repository (../shared/oracle), as test.sh does.
set -u
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
oracle=${ORACLE:-$root/../shared/oracle}
xfrmd=${XFRMD:-$root/out/xfrmd}
seed=${SEED:-$RANDOM}
count=${COUNT:-500}
export THEMES=${THEMES:-}       # those of packets take longer
linux=${LINUX:-6.12}
# As many processors as we have: which of them an SA may be for.
[ "$linux" = 6.12 ] || export NEWER=1 QSMP=${QSMP:-$(nproc)}

script=kernel-compare oracle_kernel=$oracle/kernel
# shellcheck source=tests/kernel/guest.sh
. "$here/guest.sh"

net=xfrmd-compare-$$
daemon='' guest=''
finish() {
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null
    # qemu-run waits for timeout(1), which ends qemu with itself.
    [ -z "$guest" ] || { for pid in $(ps -o pid= --ppid "$guest"); do kill "$pid"; done; wait "$guest"; } 2>/dev/null
    put_away "$net"
}
trap finish EXIT
trap 'exit 1' INT TERM
unpack_kernel python3

mkdir -p "$work/share/tools"
cp "$oracle/tools/record.py" "$oracle/tools/finalize.py" "$oracle/tools/xfrmlib.py" "$work/share/tools/"
cp "$here/record.py" "$scratch/kernel/mods.sh" "$work/share/"
cd "$work/share" || exit 1
python3 "$here/scenarios.py" "$oracle" "$seed" "$count" >in.jsonl || die "no scenarios"
# With the modules for devices that encrypt, Linux makes other packets (no padding against traffic analysis) and takes other nestings (docs/compat.md).
case $THEMES in *arrivals* | *departures* | *gateway* | *owners*) offload='rmmod esp4_offload esp6_offload' ;; *) offload=true ;; esac
echo "$offload" >offload.sh
cat >record.sh <<'EOF'
. ./mods.sh
. ./offload.sh
python3 record.py tools in.jsonl /tmp/real.jsonl && python3 tools/finalize.py /tmp/real.jsonl real.jsonl
EOF

echo "Linux $linux in qemu is asked (SEED=$seed COUNT=$count)"
"$scratch/kernel/bin/qemu-run" "$scratch/kernel/k612" . record.sh $((180 + count * (${#THEMES} > 0 ? 5 : 1))) >guest.log 2>&1 &
guest=$!
wait "$guest"
guest=''
[ -s real.jsonl ] || { cat guest.log console.log 2>/dev/null; die "the guest recorded nothing"; }

echo "xfrmd is asked"
ip netns add "$net" && ip -n "$net" link set lo up || die "cannot make a network namespace"
ip netns exec "$net" "$xfrmd" serve --socket "$work/socket" >"$work/daemon.log" 2>&1 &
daemon=$!
for _ in $(seq 100); do [ -S "$work/socket" ] && break; sleep 0.1; done
XFRMD_SOCKET=$work/socket ip netns exec "$net" "$xfrmd" run -- python3 record.py tools in.jsonl ours0.jsonl && python3 tools/finalize.py ours0.jsonl ours.jsonl \
    || { tail -n 20 "$work/daemon.log"; die "xfrmd did not answer to the end"; }
python3 "$here/compare.py" "$oracle" real.jsonl ours.jsonl
