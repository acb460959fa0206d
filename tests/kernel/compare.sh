#!/bin/bash
# Random scenarios of NETLINK_XFRM and PF_KEY (scenarios.py), answered by a real Linux 6.12 in qemu and by xfrmd, and compared byte for byte
# (compare.py). SEED and COUNT choose them; KERNEL_SCRATCH names a folder that is kept, so that the next run needs no download; KEEP=1 keeps
# the recordings. Wants root, and the oracle beside the repository (../shared/oracle), as test.sh does.
set -u
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
oracle=${ORACLE:-$root/../shared/oracle}
xfrmd=${XFRMD:-$root/out/xfrmd}
seed=${SEED:-$RANDOM}
count=${COUNT:-500}

die() { echo "kernel-compare: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "needs root"
[ -x "$oracle/kernel/setup.sh" ] || die "$oracle/kernel is missing: no real kernel to ask"
[ -x "$xfrmd" ] || die "$xfrmd is missing; run make publish"
"$root/tests/install-tools.sh" qemu-system-x86 busybox-static kmod cpio xz-utils gcc libc6-dev iproute2 python3 || die "cannot install qemu and what it needs"

work=$(mktemp -d /tmp/xfrmd-compare.XXXXXX)
scratch=${KERNEL_SCRATCH:-$work}
net=xfrmd-compare-$$
daemon='' guest='' made_modules=''
finish() {
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null
    # qemu-run waits for timeout(1), which ends qemu with itself.
    [ -z "$guest" ] || { for pid in $(ps -o pid= --ppid "$guest"); do kill "$pid"; done; wait "$guest"; } 2>/dev/null
    ip netns del "$net" 2>/dev/null
    [ -z "$made_modules" ] || rmdir /lib/modules 2>/dev/null
    [ -n "${KEEP:-}" ] && echo "recordings are in $work" || rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

if [ ! -e "$scratch/kernel/k612/initrd.gz" ]; then
    mkdir -p "$scratch"
    rm -rf "$scratch/kernel"
    cp -r "$oracle/kernel" "$scratch/kernel" && chmod -R u+w "$scratch/kernel"
    apt-get update -q >/dev/null
    "$scratch/kernel/setup.sh" 612 >"$work/setup.log" 2>&1 || { cat "$work/setup.log"; die "cannot set up the kernel"; }
fi

mkdir "$work/share"
cp "$oracle/tools/record.py" "$oracle/tools/finalize.py" "$oracle/tools/xfrmlib.py" "$scratch/kernel/mods.sh" "$work/share/"
cd "$work/share" || exit 1
python3 "$here/scenarios.py" "$oracle" "$seed" "$count" >in.jsonl || die "no scenarios"
cat >record.sh <<'EOF'
. ./mods.sh
python3 record.py in.jsonl /tmp/real.jsonl && python3 finalize.py /tmp/real.jsonl real.jsonl
EOF

# The guest mounts its modules there, on the root that it shares with us.
[ -d /lib/modules ] || { mkdir -p /lib/modules && made_modules=yes; }
echo "Linux 6.12 in qemu is asked (SEED=$seed COUNT=$count)"
"$scratch/kernel/bin/qemu-run" "$scratch/kernel/k612" . record.sh $((180 + count)) >guest.log 2>&1 &
guest=$!
wait "$guest"
guest=''
[ -s real.jsonl ] || { cat guest.log console.log 2>/dev/null; die "the guest recorded nothing"; }

echo "xfrmd is asked"
ip netns add "$net" && ip -n "$net" link set lo up || die "cannot make a network namespace"
ip netns exec "$net" "$xfrmd" serve --socket "$work/socket" >"$work/daemon.log" 2>&1 &
daemon=$!
for _ in $(seq 100); do [ -S "$work/socket" ] && break; sleep 0.1; done
XFRMD_SOCKET=$work/socket ip netns exec "$net" "$xfrmd" run -- python3 record.py in.jsonl ours0.jsonl && python3 finalize.py ours0.jsonl ours.jsonl \
    || { tail -n 20 "$work/daemon.log"; die "xfrmd did not answer to the end"; }
python3 "$here/compare.py" "$oracle" real.jsonl ours.jsonl
