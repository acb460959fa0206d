#!/usr/bin/env bash
# What charon does with a kernel that refuses and dawdles. For who writes or tests an IKE daemon.
. "$(dirname "$0")/../lab.sh"

say "two gateways, 192.0.2.1 (10.1.0.1) and 192.0.2.2 (10.2.0.1), with charon on xfrmd"
machine left
machine right
cable left 192.0.2.1/24 right 192.0.2.2/24
ip -n "$prefix-left" addr add 10.1.0.1/32 dev lo
ip -n "$prefix-right" addr add 10.2.0.1/32 dev lo
serve left right
gateway() { # machine, own address, own net, the other's
    charon "$1" <<CONF
connections {
  site {
    local_addrs = $2
    remote_addrs = $4
    local {
      auth = psk
    }
    remote {
      auth = psk
    }
    children {
      net {
        local_ts = $3
        remote_ts = $5
        esp_proposals = aes128gcm16
      }
    }
  }
}
secrets {
  ike {
    secret = "what both know"
  }
}
CONF
}
gateway left 192.0.2.1 10.1.0.1/32 192.0.2.2 10.2.0.1/32
gateway right 192.0.2.2 10.2.0.1/32 192.0.2.1 10.1.0.1/32
initiate() { on left swanctl --initiate --child net --timeout 20 >"$folder/initiate.log" 2>&1; }

say "a kernel without memory for the first SA: xfrmd fault NEWSA:ENOMEM@1"
on left "$xfrmd" fault NEWSA:ENOMEM@1 | quote
initiate || true   # charon calls it a success: the IKE_SA is kept
grep -E 'received netlink error|failed to establish CHILD_SA' "$folder/initiate.log" | quote || fail "charon did not notice"

say "the next attempt meets a slow one as well: xfrmd fault ALLOCSPI:delay=2s"
on left swanctl --terminate --ike site >/dev/null 2>&1 || true
on left "$xfrmd" fault ALLOCSPI:delay=2s | quote
start=$(date +%s)
initiate || fail "charon gave up"
took=$(($(date +%s) - start))
[ "$took" -ge 2 ] || fail "it took no time"
echo "   established after $took seconds"
pings left -I 10.1.0.1 10.2.0.1

say "how often they struck, and a good kernel again: xfrmd fault, xfrmd fault --clear"
on left "$xfrmd" fault | quote
on left "$xfrmd" fault --clear | quote
