# Adds an outbound SA with XFRMA_NAT_KEEPALIVE_INTERVAL, which no `ip xfrm` knows: source, destination, seconds.
import socket, struct, sys
source, destination, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in source else socket.AF_INET
address = lambda text: socket.inet_pton(family, text).ljust(16, b"\0")
attribute = lambda kind, data: struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)
XFRM_MSG_NEWSA, ENCAP, ALG_AEAD, SA_DIR, NAT_KEEPALIVE_INTERVAL, OUT, ESPINUDP, TUNNEL, AF_UNSPEC = 16, 4, 18, 33, 34, 2, 2, 1, 32
body = bytes(56) + address(destination) + struct.pack(">IBxxx", 0x1001, 50) + address(source) + b"\xff" * 32 + bytes(32 + 32 + 12)
body += struct.pack("=IIHBBB7x", 0, 1, family, TUNNEL, 0, AF_UNSPEC)
body += attribute(ALG_AEAD, b"rfc4106(gcm(aes))".ljust(64, b"\0") + struct.pack("=II", 160, 128) + bytes(20))
body += attribute(ENCAP, struct.pack("=HHH2x16s", ESPINUDP, socket.htons(4500), socket.htons(4500), bytes(16)))
body += attribute(SA_DIR, bytes([OUT])) + attribute(NAT_KEEPALIVE_INTERVAL, struct.pack("=I", seconds))
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 6)
kernel.send(struct.pack("=IHHII", 16 + len(body), XFRM_MSG_NEWSA, 5, 1, 0) + body)
sys.exit(-struct.unpack_from("=i", kernel.recv(4096), 16)[0])
