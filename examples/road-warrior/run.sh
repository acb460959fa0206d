#!/usr/bin/env bash
# A laptop in a hotel: behind a NAT, it gets a virtual address from the gateway and reaches the office's net through it. ESP goes in UDP.
. "$(dirname "$0")/../lab.sh"

say "laptop 192.168.7.2 behind the hotel's NAT (203.0.113.9), gateway 203.0.113.1, office 10.9.0.0/24 behind it"
for at in laptop hotel gateway office; do machine $at; done
cable laptop 192.168.7.2/24 hotel 192.168.7.1/24
cable hotel 203.0.113.9/24 gateway 203.0.113.1/24
cable gateway 10.9.0.1/24 office 10.9.0.10/24
on laptop ip route add default via 192.168.7.1
on office ip route add default via 10.9.0.1
router hotel gateway
on hotel nft -f - <<'NFT'
table ip nat {
    chain out {
        type nat hook postrouting priority 100
        oifname "to-gateway" masquerade
    }
}
NFT

say "charon on xfrmd at both ends; the gateway has a pool of addresses, the laptop asks for one"
serve laptop gateway
charon gateway <<'CONF'
connections {
  warriors {
    local_addrs = 203.0.113.1
    pools = virtual
    local {
      auth = psk
      id = gateway.example
    }
    remote {
      auth = psk
      id = laptop.example
    }
    children {
      office {
        local_ts = 10.9.0.0/24
      }
    }
  }
}
pools {
  virtual {
    addrs = 10.99.0.0/24
  }
}
secrets {
  ike {
    id = laptop.example
    secret = "what the laptop and the gateway know"
  }
}
CONF
charon laptop <<'CONF'
connections {
  home {
    remote_addrs = 203.0.113.1
    vips = 0.0.0.0
    local {
      auth = psk
      id = laptop.example
    }
    remote {
      auth = psk
      id = gateway.example
    }
    children {
      office {
        remote_ts = 10.9.0.0/24
      }
    }
  }
}
secrets {
  ike {
    id = gateway.example
    secret = "what the laptop and the gateway know"
  }
}
CONF
watch gateway to-hotel
watch office to-gateway

say "the laptop dials in: swanctl --initiate --child office"
on laptop swanctl --initiate --child office --timeout 30 >"$folder/initiate.log" 2>&1 || fail "no tunnel came up: $(cat "$folder/initiate.log")"
grep -E 'virtual IP|established with' "$folder/initiate.log" | quote

say "it reaches the office with its virtual address"
on laptop ip -4 -o addr show to 10.99.0.0/24 | grep -o 'inet [0-9./]*' | quote || fail "the laptop has no virtual address"
pings laptop 10.9.0.10

say "on the way it was ESP in UDP, from the NAT's address; the office saw the virtual one"
stop_watching
nothing_clear gateway
wire gateway 'udp port 4500' | grep UDP-encap | sed -n 1,2p | quote
[ "$(count gateway 'udp port 4500 and src 203.0.113.9 and udp[8:4] != 0')" -ge 3 ] || fail "no ESP in UDP came from the NAT"
wire office icmp | sed -n 1,2p | quote
[ "$(count office 'icmp and src 10.99.0.1 and dst 10.9.0.10')" -eq 3 ] || fail "the office did not see three echo requests of 10.99.0.1"
