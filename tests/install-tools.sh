#!/bin/sh
# Installs from Debian what the build, the tests, the demo and the package need and is not there yet; with --base what all but the tests
# need, with --build what `make publish` and the program do; or, if packages are named, those. Asks nothing.
set -eu
# Packages that cannot be beside others are only unpacked here: libreswan (strongSwan is installed), iproute2 of Debian's backports (its own
# is). Of the kernel's source its tests of IPsec are kept.
aside=/usr/local/lib/xfrmd-tests
here=$(dirname "$(readlink -f "$0")")
build="gcc libc6-dev zlib1g-dev libssl3"
# AES-GCM by this library takes a third of libcrypto's time; there is one for x86-64 only.
[ "$(dpkg --print-architecture)" != amd64 ] || build="$build libipsec-mb1"
base="$build ca-certificates make git binutils iproute2 iputils-ping iperf3 tcpdump nftables procps util-linux
    strongswan-charon libstrongswan-standard-plugins libstrongswan-extra-plugins strongswan-swanctl charon-systemd python3"
packages="$base man-db python3-scapy python3-prometheus-client xz-utils openiked tshark zsh fish golang-go golang-github-vishvananda-netlink-dev
    libnss3-tools libldns3 libunbound8 libcurl3-nss libldap-2.5-0 libevent-core-2.1-7 libevent-pthreads-2.1-7 libcap-ng0 libaudit1 libpam0g"
unpacked="libreswan iproute2-backports linux-selftests"
case ${1:-} in
--base) shift; packages=$base unpacked= ;;
--build) shift; packages=$build unpacked= ;;
esac
[ $# -eq 0 ] || packages=$* unpacked=
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
done
absent=
for package in $unpacked; do
    [ -d "$aside/$package" ] || absent="$absent $package"
done
[ -n "$missing$absent" ] || exit 0
echo "installing$missing$absent"
export DEBIAN_FRONTEND=noninteractive
folder=$(mktemp -d)
# Daemons that a package would start are not wanted: the tests start their own.
policy=/usr/sbin/policy-rc.d
made=
trap 'rm -rf "$folder" $made' EXIT
if [ ! -e "$policy" ]; then
    made=$policy
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
install_missing() {
    # shellcheck disable=SC2086
    [ -z "$missing" ] || apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 $missing >/dev/null
}
download() { apt-get -q -o APT::Sandbox::User=root download "$1" >/dev/null; }
unpack_absent() {
    for package in $absent; do
        [ ! -d "$aside/$package" ] || continue
        rm -rf "$folder/new" "$folder"/*.deb
        (
            cd "$folder"
            case $package in
            *-backports) "$here/from-suite.sh" bookworm-backports "${package%-backports}" ;;
            linux-selftests) download linux-source-6.1 ;;
            *) download "$package" ;;
            esac
            # There as a whole, or not at all.
            case $package in
            linux-selftests)
                mkdir new
                dpkg-deb --fsys-tarfile ./*.deb | tar -xO ./usr/src/linux-source-6.1.tar.xz | tar -xJ -C new --strip-components=4 --wildcards '*/tools/testing/selftests/net/ipsec.c' '*/tools/testing/selftests/kselftest.h'
                ;;
            *) dpkg-deb -x ./*.deb new ;;
            esac
        ) || return 1
        mkdir -p "$aside"
        mv "$folder/new" "$aside/$package"
    done
}
# An archive that does not answer at once is asked again.
for pause in 5 20 0; do
    apt-get update -q >/dev/null && install_missing && unpack_absent && exit 0
    sleep "$pause"
done
echo "install-tools: apt-get could not install$missing$absent" >&2
exit 1
