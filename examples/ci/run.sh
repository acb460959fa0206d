#!/usr/bin/env bash
# What a CI job does with an IKE configuration that it wants to test: bring it up on xfrmd, send traffic, rekey, take it down, and demand
# that no packet was lost or sent in clear. Needs root, no IPsec in the runner's kernel, no container and no second machine.
# workflow.yml beside this is the job for GitHub's stock runners. RESULT names a folder that keeps logs and capture for the artifacts.
. "$(dirname "$0")/../lab.sh"
result=${RESULT:-$folder/result}
mkdir -p "$result"

say "the system under test: a server and a client, swanctl.conf as they would have it in production"
machine server
machine client
cable server 198.51.100.1/24 client 198.51.100.2/24
serve server client
peer() { # machine, own address, the other's
    charon "$1" <<CONF
connections {
  service {
    local_addrs = $2
    remote_addrs = $3
    proposals = aes256-sha256-x25519
    local {
      auth = psk
    }
    remote {
      auth = psk
    }
    children {
      tcp {
        local_ts = $2[tcp]
        remote_ts = $3[tcp]
        mode = transport
        esp_proposals = aes256-sha256-x25519
      }
    }
  }
}
secrets {
  ike {
    secret = "of this test"
  }
}
CONF
}
peer server 198.51.100.1 198.51.100.2
peer client 198.51.100.2 198.51.100.1
watch server to-client

say "test: the connection comes up"
on client swanctl --initiate --child tcp --timeout 30 >"$result/initiate.log" 2>&1 || fail "$(cat "$result/initiate.log")"
grep -E 'established with' "$result/initiate.log" | quote

say "test: a transfer over TCP, with a rekey in the middle of it"
start server iperf3 -s -1 -I /run/iperf3.pid
wait_for "iperf3's server" grep -q ':1451 ' "/proc/$pid/net/tcp6"
on client iperf3 -c 198.51.100.1 -n 20M -b 80M --json >"$result/iperf3.json" &
transfer=$!
sleep 0.7
on client swanctl --rekey --child tcp >"$result/rekey.log" 2>&1 || fail "$(cat "$result/rekey.log")"
wait $transfer || fail "the transfer broke off: $(cat "$result/iperf3.json")"
echo "   20 MB sent"

say "test: what the machine thinks of it, for programs (xfrmd status --json) and for people (xfrmd stats)"
on client "$xfrmd" status --json >"$result/status.json"
python3 -m json.tool "$result/status.json" >/dev/null || fail "status is no JSON"
on client "$xfrmd" stats | tee "$result/stats.txt" | quote

say "test: nothing in clear, and two generations of SAs on the wire"
stop_watching
cp "$folder/server/wire.pcapng" "$folder"/*.log "$result"
nothing_clear server
spis=$(wire server 'esp and dst 198.51.100.1' | grep -o 'spi=0x[0-9a-f]*' | sort -u | wc -l)
[ "$spis" -ge 2 ] || fail "the rekey did not change the SPI"
echo "   $(count server esp) ESP packets, $spis SPIs towards the server"

say "test: taken down, nothing is left in the kernel that was none"
on client swanctl --terminate --ike service >"$result/terminate.log" 2>&1 || fail "$(cat "$result/terminate.log")"
[ -z "$(attached client ip xfrm state)" ] || fail "SAs stayed: $(attached client ip xfrm state)"
