# Sourced. A private Docker engine without any system service, which leaves nothing behind.
#   engine_start build  in the machine's own network namespace, without bridge and iptables: for docker build --network host
#   engine_start lab    in a network namespace of its own with lo alone: no packet of the lab can leave it
#   engine_stop         ends it, and what it started
#   engine_leftovers    tells what of it is still there; nothing, after a stop
: "${LAB:=/tmp/xfrmd-docker}"
LAB_NETNS=${LAB_NETNS:-xfrmd-docker}
export DOCKER_HOST=unix://$LAB/docker.sock

engine_start() {
    local options=() enter=() controller engine
    engine_stop
    mkdir -p "$LAB"
    if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
        for controller in memory devices cpu cpuset pids freezer blkio; do
            mountpoint -q /sys/fs/cgroup || mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
            mkdir -p "/sys/fs/cgroup/$controller"
            mountpoint -q "/sys/fs/cgroup/$controller" || mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
        done
    fi
    case $1 in
    build)
        options=(--bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false)
        ;;
    lab)
        ip netns add "$LAB_NETNS"
        ip -n "$LAB_NETNS" link set lo up
        # Not "ip netns exec": it mounts a new /sys, which hides the cgroups.
        enter=(nsenter "--net=/run/netns/$LAB_NETNS")
        ;;
    esac
    setsid unshare --mount --propagation private "${enter[@]}" \
        dockerd --data-root "$LAB/data" --exec-root "$LAB/exec" -p "$LAB/docker.pid" -H "$DOCKER_HOST" "${options[@]}" \
        > "$LAB/dockerd-$1.log" 2>&1 < /dev/null &
    engine=$!
    for _ in $(seq 480); do
        docker version > /dev/null 2>&1 && return 0
        kill -0 "$engine" 2> /dev/null || break
        sleep 0.25
    done
    tail -n 20 "$LAB/dockerd-$1.log" >&2
    return 1
}

# Ends what a pid file names, if that is still the program that wrote it.
end_by_pid_file() {
    local pid
    pid=$(cat "$1" 2> /dev/null) && [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = "$2" ] || return 0
    kill "$pid" 2> /dev/null || return 0
    for _ in $(seq 240); do
        kill -0 "$pid" 2> /dev/null || return 0
        sleep 0.25
    done
    kill -KILL "$pid" 2> /dev/null || true
}

engine_stop() {
    end_by_pid_file "$LAB/docker.pid" dockerd
    end_by_pid_file "$LAB/exec/containerd/containerd.pid" containerd   # only an engine that had to be killed leaves it
    [ ! -e "/run/netns/$LAB_NETNS" ] || ip netns del "$LAB_NETNS"
    find /sys/fs/cgroup -depth -type d -path '*/docker*' -exec rmdir {} + 2> /dev/null || true
}

engine_leftovers() {
    local process
    for process in /proc/[0-9]*; do
        case $(tr '\0' ' ' 2> /dev/null < "$process/cmdline") in *"$LAB/"*) echo "process ${process#/proc/}" ;; esac
    done
    grep -F "$LAB" /proc/mounts | sed 's/^/mount /' || true
    find "/run/netns/$LAB_NETNS" "$LAB" -maxdepth 0 2> /dev/null || true
    ip -o link show type bridge | grep -oE '(docker0|br-[0-9a-f]{12})' | sed 's/^/bridge /' || true
}
