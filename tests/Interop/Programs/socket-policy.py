# A program whose socket has policies of its own (IP_XFRM_POLICY, IP_IPSEC_POLICY): ROLE PROTOCOL ADDRESS PORT [in=POLICY] [out=POLICY] [mark=N].
# A server answers what a client sends in capitals. POLICY: esp (transport mode, reqid 1), pass, block; with "pfkey-" before it as PF_KEY has it.
import socket, struct, sys
role, protocol, address, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
options = dict(option.split("=") for option in sys.argv[5:])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
level = socket.IPPROTO_IPV6 if ":" in address else socket.IPPROTO_IP
XFRM_POLICY, IPSEC_POLICY = (35, 34) if ":" in address else (17, 16)
ESP, TRANSPORT, SO_MARK = 50, 0, 36


def xfrm(direction, what):
    selector = bytes(40) + struct.pack("=HBBB3xII", family, 0, 0, 0, 0, 0)
    limits = struct.pack("=8Q", *[2**64 - 1] * 4, 0, 0, 0, 0)
    policy = selector + limits + bytes(32) + struct.pack("=IIBBBB4x", 0, 0, direction, what == "block", 0, 0)
    template = bytes(16) + struct.pack(">IB3x", 0, ESP) + struct.pack("=HH16sIBBBBIII", family, 0, bytes(16), 1, TRANSPORT, 0, 0, 0, *[2**32 - 1] * 3)
    return policy + (template if what == "esp" else b"")


def pfkey(direction, what):
    kind = {"block": 0, "pass": 1, "esp": 2}[what]
    request = struct.pack("=HHBBHI4x", 16, ESP, 1, 3, 0, 1) if what == "esp" else b""   # transport, unique, reqid 1
    return struct.pack("=HHHBBII", 2 + len(request) // 8, 18, kind, direction + 1, 0, 0, 0) + request


def send(data):
    try:
        endpoint.send(data)
    except OSError as error:
        print("send:", error.strerror)
        sys.exit()


endpoint = socket.socket(family, {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[protocol])
endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
for direction, name in enumerate(["in", "out"]):
    if name in options:
        old = options[name].startswith("pfkey-")
        value = pfkey(direction, options[name][6:]) if old else xfrm(direction, options[name])
        endpoint.setsockopt(level, IPSEC_POLICY if old else XFRM_POLICY, value)
if "mark" in options:
    endpoint.setsockopt(socket.SOL_SOCKET, SO_MARK, int(options["mark"]))
if role == "server":
    endpoint.bind((address, port))
    if protocol == "tcp":
        endpoint.listen(5)
    print("listens", flush=True)
    while True:
        if protocol == "tcp":
            connection, _ = endpoint.accept()
            connection.send(connection.recv(1000).upper())
            connection.close()
        else:
            data, peer = endpoint.recvfrom(1000)
            endpoint.sendto(data.upper(), peer)
endpoint.settimeout(1)
try:
    endpoint.connect((address, port))
    send(b"hello")
    print(endpoint.recv(1000).decode(), endpoint.getsockopt(socket.SOL_SOCKET, SO_MARK))
except socket.timeout:
    print("no answer")
