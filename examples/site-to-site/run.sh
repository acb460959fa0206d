#!/usr/bin/env bash
# Two offices: a gateway with Debian's charon on xfrmd in each, a machine behind each. The gateways authenticate by a pre-shared key.
. "$(dirname "$0")/../lab.sh"

say "two offices: 10.1.0.10 behind gateway 192.0.2.1, 10.2.0.10 behind gateway 192.0.2.2"
for at in west west-gw east east-gw; do machine $at; done
cable west 10.1.0.10/24 west-gw 10.1.0.1/24
cable east 10.2.0.10/24 east-gw 10.2.0.1/24
cable west-gw 192.0.2.1/24 east-gw 192.0.2.2/24
on west ip route add default via 10.1.0.1
on east ip route add default via 10.2.0.1
router west-gw east-gw

say "xfrmd and charon on each gateway, a connection that starts when traffic wants it (start_action = trap)"
serve west-gw east-gw
gateway() { # machine, own address, own net, the other's
    charon "$1" <<CONF
connections {
  office {
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
        esp_proposals = aes256gcm16-x25519
        start_action = trap
      }
    }
  }
}
secrets {
  ike {
    secret = "what both offices know"
  }
}
CONF
}
gateway west-gw 192.0.2.1 10.1.0.0/24 192.0.2.2 10.2.0.0/24
gateway east-gw 192.0.2.2 10.2.0.0/24 192.0.2.1 10.1.0.0/24
watch east-gw to-west-gw

say "nobody initiates: the first packet does (and is lost, as on any Linux with its default larval_drop)"
wait_for "an answer through the tunnel" on west ping -n -c 1 -W 1 10.2.0.10
pings west 10.2.0.10
on west-gw swanctl --list-sas 2>/dev/null | grep -E 'ESTABLISHED|INSTALLED' | quote

say "a rekey while pings go on: none is lost"
on west ping -n -c 20 -i 0.1 -W 5 10.2.0.10 >"$folder/rekey-ping.log" 2>&1 &
ping=$!
sleep 0.5
on west-gw swanctl --rekey --child net >/dev/null 2>&1 || fail "charon refused to rekey"
wait $ping || fail "no answer during the rekey"
grep ' 0% packet loss' "$folder/rekey-ping.log" | quote || fail "pings were lost in the rekey"

say "what crossed between the gateways"
stop_watching
nothing_clear east-gw
echo "   $(count east-gw esp) ESP packets, $(count east-gw 'udp port 500 or udp port 4500') of IKE, none in clear"
