#!/bin/sh
# What a container of the lab does: a gateway runs xfrmd and, on it, strongSwan's charon; a host routes to the other side.
set -e
case "$ROLE" in
left | right)
    cp "/lab/$ROLE.conf" /etc/swanctl/conf.d/lab.conf
    xfrmd serve &
    until [ -S /run/xfrmd.sock ]; do sleep 0.1; done
    exec xfrmd run -- /usr/lib/ipsec/charon
    ;;
host)
    ip route replace "$VIA_NET" via "$VIA_GW"
    exec iperf3 --server
    ;;
*)
    echo "entry.sh: ROLE is '$ROLE': it must be left, right or host" >&2
    exit 1
    ;;
esac
