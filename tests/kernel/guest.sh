# shellcheck shell=bash
# What compare.sh and test.sh have in common: a real Linux 6.12 in qemu, from Debian's package (LINUX=6.18: that, from trixie-backports). Before it is sourced: $script (for messages),
# $root, $oracle_kernel (the oracle's folder kernel, which is copied to a scratch folder, as it unpacks there), $xfrmd; KERNEL_SCRATCH names a
# folder that is kept, so that the next run needs no download; KEEP=1 keeps what was written. Sets $work and $scratch.
die() { echo "$script: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "needs root"
[ -x "$oracle_kernel/setup.sh" ] || die "$oracle_kernel is missing: there is no real kernel"
[ -x "$xfrmd" ] || die "$xfrmd is missing; run make publish"
work=$(mktemp -d "/tmp/xfrmd-$script.XXXXXX")
scratch=${KERNEL_SCRATCH:-$work}
made_modules=

# unpack_kernel PACKAGE...: these beside what every guest needs.
unpack_kernel() {
    "$root/tests/install-tools.sh" qemu-system-x86 busybox-static kmod cpio xz-utils gcc libc6-dev iproute2 "$@" || die "cannot install qemu and what it needs"
    if [ ! -e "$scratch/kernel/k612/initrd.gz" ]; then
        mkdir -p "$scratch"
        rm -rf "$scratch/kernel"
        cp -r "$oracle_kernel" "$scratch/kernel" && chmod -R u+w "$scratch/kernel"
        apt-get update -q >/dev/null
        case ${LINUX:-6.12} in 6.12) "$scratch/kernel/setup.sh" 612 ;; *) set_up_newer ;; esac >"$work/setup.log" 2>&1 || { cat "$work/setup.log"; die "cannot set up the kernel"; }
    fi
    # The guest mounts its modules there, on the root that it shares with us.
    [ -d /lib/modules ] || { mkdir -p /lib/modules && made_modules=yes; }
}

# Where the oracle puts its 6.12. Modules have other names since, and a parent in usr.
set_up_newer() (
    cd "$scratch/kernel" && gcc -static -O2 -o bin/poweroff bin/poweroff.c && mkdir -p k612 debs \
        && (cd debs && "$root/tests/from-suite.sh" trixie-backports "linux-image-$LINUX.*+deb13-amd64") \
        && dpkg-deb -x debs/*.deb k612/root && rm -rf debs && { [ -d k612/root/lib ] || ln -s usr/lib k612/root/lib; } \
        && depmod -b "$PWD/k612/root" "$(ls k612/root/lib/modules)" && bin/mkinitrd k612 && sed -i 's/ drbg / drbg crypto_null chacha /' mods.sh
)

# put_away NETNS: last of all.
put_away() {
    ip netns del "$1" 2>/dev/null
    [ -z "$made_modules" ] || rmdir /lib/modules 2>/dev/null
    if [ -n "${KEEP:-}" ]; then echo "all that was written is in $work"; else rm -rf "$work"; fi
}
