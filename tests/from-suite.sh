#!/bin/sh
# from-suite.sh SUITE PACKAGE…: downloads packages of another suite (as bookworm-backports) of the archive that this system has its own packages
# from, into the current folder. Of a name with a star the newest package. Nothing of it stays with apt.
set -eu
suite=$1
shift
archive=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' | awk '$2 == "Debian" { print $1; exit }')
[ -n "$archive" ] || { echo "from-suite: apt knows no archive of Debian; run apt-get update" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/lists/partial" "$folder/archives/partial"
printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' "$archive" "$suite" >"$folder/suite.sources"
options="-q -o Dir::Etc::sourcelist=$folder/suite.sources -o Dir::Etc::sourceparts=- -o Dir::State::lists=$folder/lists -o Dir::Cache=$folder -o APT::Sandbox::User=root"
# shellcheck disable=SC2086
apt-get $options update >/dev/null
for name in "$@"; do
    # shellcheck disable=SC2086
    case $name in *\**) name=$(apt-cache $options pkgnames "${name%%\**}" | while read -r found; do case $found in $name) echo "$found" ;; esac; done | sort -V | tail -n 1) ;; esac
    # shellcheck disable=SC2086
    apt-get $options download "$name" >/dev/null
done
