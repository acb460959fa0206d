#!/usr/bin/env bash
# Makes out/xfrmd_VERSION_ARCH.deb from the published program (make publish). Needs dpkg-deb and objdump.
set -euo pipefail
cd "$(dirname "$0")/.."

program=out/xfrmd
[ -x "$program" ] || { echo "build-deb: $program is missing: run 'make publish' first" >&2; exit 1; }
version=$(sed -n 's:.*<Version>\(.*\)</Version>.*:\1:p' Directory.Build.props)
arch=$(dpkg --print-architecture)
maintainer="the xfrmd authors <xfrmd@users.noreply.github.com>"
stage=$(mktemp -d)
chmod 755 "$stage"
umask 022
trap 'rm -rf "$stage"' EXIT

# The oldest glibc on which the program starts is the newest symbol version that it names.
glibc=$(objdump -T "$program" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | sed 's/GLIBC_//')

install -D -m 755 "$program" "$stage/usr/sbin/xfrmd"
install -D -m 644 packaging/systemd/xfrmd.service "$stage/lib/systemd/system/xfrmd.service"
for unit in strongswan strongswan-starter; do
    install -D -m 644 "packaging/systemd/$unit.service.d/xfrmd.conf" "$stage/lib/systemd/system/$unit.service.d/xfrmd.conf"
done
for page in packaging/man/*.[1-8]; do
    install -d "$stage/usr/share/man/man${page##*.}"
    gzip -9nc "$page" > "$stage/usr/share/man/man${page##*.}/$(basename "$page").gz"
done
install -d "$stage/usr/share/bash-completion/completions" "$stage/usr/share/zsh/vendor-completions" "$stage/usr/share/fish/vendor_completions.d"
"$program" completion bash > "$stage/usr/share/bash-completion/completions/xfrmd"
"$program" completion zsh > "$stage/usr/share/zsh/vendor-completions/_xfrmd"
"$program" completion fish > "$stage/usr/share/fish/vendor_completions.d/xfrmd.fish"
install -d "$stage/usr/share/doc/xfrmd"
{
    echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    echo "Upstream-Name: xfrmd"
    echo
    echo "Files: *"
    sed -n 's/^Copyright (c)/Copyright:/p' LICENSE
    echo "License: MIT"
    sed -n '/^Permission/,$ { s/^$/./; s/^/ /; p }' LICENSE
} > "$stage/usr/share/doc/xfrmd/copyright"
install -m 644 README.md SECURITY.md docs/architecture.md docs/compat.md "$stage/usr/share/doc/xfrmd/"
cp -r examples "$stage/usr/share/doc/xfrmd/examples"
date=$(LC_ALL=C date -R -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || date +%s)}")
gzip -9nc > "$stage/usr/share/doc/xfrmd/changelog.gz" <<CHANGELOG
xfrmd ($version) unstable; urgency=medium

  * Version $version.

 -- $maintainer  $date
CHANGELOG

install -d "$stage/DEBIAN"
cat > "$stage/DEBIAN/control" <<CONTROL
Package: xfrmd
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -sk "$stage/usr" | cut -f1)
Section: net
Priority: optional
Depends: libc6 (>= $glibc), libssl3 | libssl3t64
Recommends: iproute2$([ "$arch" != amd64 ] || echo ', libipsec-mb1 | libipsec-mb2')
Suggests: charon-systemd | strongswan-starter, strongswan-swanctl, tshark
Description: Linux kernel's IPsec interface and datapath in user space
 xfrmd answers NETLINK_XFRM and PF_KEYv2 as Linux does, for unmodified IKE
 daemons such as strongSwan's charon, and carries the ESP traffic itself over
 a TUN device. It is for machines whose kernel has no ESP or no AF_KEY.
CONTROL
# Without systemd (a container) there is nothing to enable. That the daemon cannot start here (no TUN) is no reason not to install it.
cat > "$stage/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    if command -v deb-systemd-helper > /dev/null; then
        deb-systemd-helper enable xfrmd.service > /dev/null || true
    fi
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload || true
        deb-systemd-invoke start xfrmd.service || true
    fi
fi
SCRIPT
cat > "$stage/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ]; then
    if [ -d /run/systemd/system ]; then
        deb-systemd-invoke stop xfrmd.service || true
    fi
    if command -v deb-systemd-helper > /dev/null; then
        deb-systemd-helper disable xfrmd.service > /dev/null || true
    fi
fi
SCRIPT
cat > "$stage/DEBIAN/postrm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = purge ] && command -v deb-systemd-helper > /dev/null; then
    deb-systemd-helper purge xfrmd.service > /dev/null || true
fi
if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload || true
fi
SCRIPT
chmod 755 "$stage/DEBIAN/postinst" "$stage/DEBIAN/prerm" "$stage/DEBIAN/postrm"

(cd "$stage" && find usr lib -type f -print0 | sort -z | xargs -0 md5sum) > "$stage/DEBIAN/md5sums"

package="out/xfrmd_${version}_${arch}.deb"
dpkg-deb --root-owner-group --build "$stage" "$package" >/dev/null
echo "$package"
