#!/usr/bin/env bash
# IPsec by hand: two machines, two SAs and six policies with `ip xfrm`, no IKE at all. Then the wire, first as a stranger sees it, then
# with the keys.
. "$(dirname "$0")/../lab.sh"

say "two machines, left (192.0.2.1, 10.1.0.1) and right (192.0.2.2, 10.2.0.1), each with its xfrmd"
machine left
machine right
cable left 192.0.2.1/24 right 192.0.2.2/24
ip -n "$prefix-left" addr add 10.1.0.1/32 dev lo
ip -n "$prefix-right" addr add 10.2.0.1/32 dev lo
serve left right

say "the same two SAs on both: one for each direction, AES-GCM with a key that both know"
for at in left right; do
    attached $at ip -batch - <<SA
xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 mode tunnel replay-window 32 aead rfc4106(gcm(aes)) 0x101112131415161718191a1b1c1d1e1f20212223 128
xfrm state add src 192.0.2.2 dst 192.0.2.1 proto esp spi 0x200 mode tunnel replay-window 32 aead rfc4106(gcm(aes)) 0x303132333435363738393a3b3c3d3e3f40414243 128
SA
done

say "policies: what leaves from 10.1.0.1 to 10.2.0.1 goes into the tunnel, what comes must have come through it"
policies() { # machine, own address and outer address, the other's
    attached "$1" ip -batch - <<POLICY
xfrm policy add src $2 dst $4 dir out tmpl src $3 dst $5 proto esp mode tunnel
xfrm policy add src $4 dst $2 dir in tmpl src $5 dst $3 proto esp mode tunnel
xfrm policy add src $4 dst $2 dir fwd tmpl src $5 dst $3 proto esp mode tunnel
POLICY
}
policies left 10.1.0.1 192.0.2.1 10.2.0.1 192.0.2.2
policies right 10.2.0.1 192.0.2.2 10.1.0.1 192.0.2.1
on left ip route add 10.2.0.1 via 192.0.2.2 src 10.1.0.1
on right ip route add 10.1.0.1 via 192.0.2.1 src 10.2.0.1

say "what would happen to such a packet: xfrmd explain 10.1.0.1 10.2.0.1 icmp"
on left "$xfrmd" explain 10.1.0.1 10.2.0.1 icmp | quote

say "ping 10.2.0.1, and the wire as a stranger sees it"
watch right to-left
pings left -I 10.1.0.1 10.2.0.1
stop_watching
wire right esp | sed -n 1,4p | quote
nothing_clear right

say "the same packets with the keys: xfrmd keys --show-keys, Wireshark's ESP table"
on left "$xfrmd" keys --show-keys >"$folder/esp_sa"
tables=()
while IFS= read -r row; do case $row in '"'*) tables+=(-o "uat:esp_sa:$row") ;; esac; done <"$folder/esp_sa"
HOME=$folder tshark -r "$folder/right/wire.pcapng" -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE "${tables[@]}" -Y icmp >"$folder/decrypted" 2>"$folder/tshark.log"
sed -n 1,4p "$folder/decrypted" | quote
[ "$(grep -c 'Echo (ping)' "$folder/decrypted")" -eq 6 ] || fail "tshark should have seen three echo requests and three replies"

say "the SAs have counted: xfrmd state"
on left "$xfrmd" state | grep -A 1 'lifetime current' | quote
