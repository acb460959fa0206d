#!/usr/bin/env bash
# IPsec without being root anywhere: two containers of an ordinary user, made by util-linux alone. Each has a file system of its own, no
# capabilities but NET_ADMIN and NET_RAW over its own network, no_new_privs, and /dev/net/tun. With an engine it is
#   docker run --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW --security-opt no-new-privileges --device /dev/net/tun xfrmd
set -euo pipefail
self=$(readlink -f "$0")
root=$(dirname "$(dirname "$(dirname "$self")")")
name=unprivileged-container
step=0
say() { printf '%d. %s\n' $((step += 1)) "$*"; }
quote() { sed 's/^/   /'; }
fail() { echo "$name: $*" >&2; exit 1; }

# The first half: an ordinary user makes himself a user namespace and, in it, a network. All that follows ends with this process.
if [ "${1:-}" != inside ]; then
    xfrmd=${XFRMD:-$root/out/xfrmd}
    [ -x "$xfrmd" ] || xfrmd=$(command -v xfrmd) || fail "no xfrmd: run 'make publish', or install the package"
    folder=$(mktemp -d "${TMPDIR:-/tmp}/xfrmd-$name-$$.XXXXXX")
    child=
    clean_up() {
        local status=$?
        trap '' INT TERM HUP
        trap - EXIT
        [ -z "$child" ] || { kill -TERM "$child" 2>/dev/null || true; wait "$child" 2>/dev/null || true; }
        rm -rf "$folder"
        [ "$status" -eq 0 ] && echo "$name: every step happened, all is removed" || echo "$name: ended before its end (exit $status), all is removed" >&2
        exit "$status"
    }
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    install -m 755 "$xfrmd" "$folder/xfrmd"
    install -m 755 "$self" "$folder/run.sh"   # who is not root may not read everybody's home
    nobody=()
    if [ "$(id -u)" -eq 0 ]; then
        chmod 755 "$folder"
        nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all)
    fi
    cd "$folder"
    "${nobody[@]}" unshare --user --map-root-user --net --mount --pid --fork --kill-child --mount-proc "$folder/run.sh" inside "$folder" &
    child=$!
    status=0
    wait "$child" || status=$?
    child=
    exit "$status"
fi

folder=$2
mount -t tmpfs run /run
mkdir /run/netns
say "two machines of an ordinary user: root in here is user $(awk '{ print $2 }' /proc/self/uid_map) outside"
for at in left right; do
    ip netns add $at
    ip -n $at link set lo up
done
ip -n left link add wan type veth peer name wan netns right
ip -n left addr add 192.0.2.1/24 dev wan
ip -n right addr add 192.0.2.2/24 dev wan
ip -n left link set wan up
ip -n right link set wan up

# What an engine does: a root of its own, with the machine's programs read-only, the one device, a /proc and the program.
build_root() {
    local new=$1 part
    mount -t tmpfs root "$new"
    mkdir "$new"/{usr,etc,dev,dev/net,proc,run,tmp,app}
    for part in bin sbin lib lib64; do [ ! -L "/$part" ] || ln -s "usr/$part" "$new/$part"; done
    mount --rbind -o ro /usr "$new/usr"
    for part in /etc/ld.so.cache /etc/protocols /etc/ssl /etc/alternatives; do
        if [ -d "$part" ]; then mkdir -p "$new$part"; elif [ -e "$part" ]; then touch "$new$part"; else continue; fi
        mount --rbind -o ro "$part" "$new$part"
    done
    for part in /dev/null /dev/urandom /dev/net/tun; do
        touch "$new$part"
        mount --bind "$part" "$new$part"
    done
    cp "$folder/xfrmd" "$new/app/xfrmd"
    mount -t proc proc "$new/proc"
}

few='--bounding-set=-all,+net_admin,+net_raw --inh-caps=-all --no-new-privs'
declare -A first=()
container() { # NAME: its first process is xfrmd
    local pid
    ip netns exec "$1" unshare --mount --pid --fork --kill-child /bin/bash -c "
        set -eu; folder=$folder; $(declare -f build_root)
        mkdir /run/$1.root; build_root /run/$1.root
        exec chroot /run/$1.root setpriv $few /app/xfrmd serve" >"/run/$1.log" 2>&1 &
    pid=$!
    for _ in $(seq 300); do
        first[$1]=$(pgrep -P $pid || true)
        [ -z "${first[$1]}" ] || [ ! -S "/proc/${first[$1]}/root/run/xfrmd.sock" ] || return 0
        sleep 0.1
    done
    cat "/run/$1.log" >&2
    fail "the container $1 does not start"
}
execute() { # NAME COMMAND...: what an engine calls exec
    # shellcheck disable=SC2086
    nsenter --target "${first[$1]}" --mount --net --pid --root --wd=/ setpriv $few "${@:2}"
}

say "a container for each, with NET_ADMIN, NET_RAW and /dev/net/tun; its first process is xfrmd serve"
container left
container right
grep -E 'CapBnd|NoNewPrivs' "/proc/${first[left]}/status" | quote
grep -q '^CapBnd:[[:space:]]*0000000000003000$' "/proc/${first[left]}/status" || fail "the container has other capabilities than NET_ADMIN and NET_RAW"

say "ESP in transport mode between them, by hand: xfrmd run -- ip xfrm ..., and a ping"
addresses() { [ "$1" = left ] && echo "192.0.2.1 192.0.2.2" || echo "192.0.2.2 192.0.2.1"; }
for at in left right; do
    read -r own other < <(addresses $at)
    execute $at /app/xfrmd run -- ip -batch - <<XFRM
xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 mode transport aead rfc4106(gcm(aes)) 0x101112131415161718191a1b1c1d1e1f20212223 128
xfrm state add src 192.0.2.2 dst 192.0.2.1 proto esp spi 0x200 mode transport aead rfc4106(gcm(aes)) 0x303132333435363738393a3b3c3d3e3f40414243 128
xfrm policy add src $own dst $other dir out tmpl proto esp mode transport
xfrm policy add src $other dst $own dir in tmpl proto esp mode transport
XFRM
done
execute left ping -n -c 3 -i 0.2 -W 5 192.0.2.2 >/run/ping || { cat /run/*.log >&2; fail "no answer to ping"; }
grep transmitted /run/ping | quote

say "it was ESP: the SAs of both have counted"
for at in left right; do
    execute $at /app/xfrmd status | grep '^esp' | quote
    [ "$(execute $at /app/xfrmd state | grep -c ' 3(packets)')" -eq 2 ] || fail "the SAs should have counted three packets each"
done
