#!/usr/bin/env python3
"""A NETLINK_XFRM client that packs many requests into one datagram, and says how long the kernel (or who plays it) took.

    scale.py batch  OBJECT COUNT              add, dump, delete one by one, add, flush: "what seconds" a line
    scale.py growth OBJECT SIZE...            microseconds for one at each size: "size add get delete dump KiB" a line
    scale.py fill   OBJECT COUNT              adds and leaves them
    scale.py drain  OBJECT COUNT              deletes them
    scale.py repeat OBJECT PAUSE              dumps, seconds between two, until it is stopped
    scale.py churn  OBJECT FIRST              adds one behind the FIRST and deletes it, a hundred a second, until it is stopped
    scale.py lines  OBJECT add|delete COUNT   the same as lines for ip -batch
OBJECT is policy or state. KiB: what the process $PID has grown by.
"""
import os
import socket
import struct
import sys
import time

NEWSA, DELSA, GETSA, NEWPOLICY, DELPOLICY, GETPOLICY, FLUSHSA, FLUSHPOLICY = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x1C, 0x1D
REQUEST, ACK, DUMP = 1, 4, 0x300
PACKED = 64
RECEIVE = 1 << 16
ENDS = socket.inet_aton("192.0.2.1"), socket.inet_aton("192.0.2.2")
UNLIMITED = struct.pack("=4Q4Q", *[2**64 - 1] * 4, 0, 0, 0, 0)
KEY = bytes(range(20))


def selector(source, destination, prefix):
    """struct xfrm_selector: 56 bytes."""
    return struct.pack("=16s16s4HH3B3xiI", destination, source, 0, 0, 0, 0, socket.AF_INET, prefix, prefix, 0, 0, 0)


def attribute(kind, value):
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


class Policies:
    """Out policies of one host each."""
    dump, flush = GETPOLICY, (FLUSHPOLICY, b"")

    @staticmethod
    def address(i):
        return struct.pack("!I", 0x0A000001 + i)

    def __init__(self):
        template = struct.pack("=16sIB3xH2x16sI3Bx3I", ENDS[1], 0, 50, socket.AF_INET, ENDS[0], 1, 1, 0, 0, *[2**32 - 1] * 3)
        self.tail = UNLIMITED + bytes(32) + struct.pack("=IIBBBB4x", 0, 0, 1, 0, 0, 0) + attribute(5, template)

    def add(self, i):
        return NEWPOLICY, selector(self.address(i), socket.inet_aton("172.16.0.1"), 32) + self.tail

    def identity(self, i):
        return selector(self.address(i), socket.inet_aton("172.16.0.1"), 32) + struct.pack("=IB3x", 0, 1)

    def get(self, i):
        return GETPOLICY, self.identity(i)

    def delete(self, i):
        return DELPOLICY, self.identity(i)

    def line(self, verb, i):
        what = f"xfrm policy {verb} src {socket.inet_ntoa(self.address(i))} dst 172.16.0.1 dir out"
        return what + (" tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel" if verb == "add" else "")


class States:
    """ESP SAs between two hosts, each with its own SPI and reqid."""
    dump, flush = GETSA, (FLUSHSA, bytes(1))

    def __init__(self):
        self.key = attribute(18, struct.pack("=64sII", b"rfc4106(gcm(aes))", len(KEY) * 8, 128) + KEY)

    def add(self, i):
        body = bytes(56) + struct.pack("=16s4sB3x16s", ENDS[1], struct.pack("!I", 256 + i), 50, ENDS[0]) + UNLIMITED + bytes(32) + bytes(12)
        return NEWSA, body + struct.pack("=IIHBBB7x", 0, i + 1, socket.AF_INET, 1, 32, 0) + self.key

    def identity(self, i):
        return struct.pack("=16s4sHBx", ENDS[1], struct.pack("!I", 256 + i), socket.AF_INET, 50)

    def get(self, i):
        return GETSA, self.identity(i)

    def delete(self, i):
        return DELSA, self.identity(i)

    def line(self, verb, i):
        what = f"xfrm state {verb} src 192.0.2.1 dst 192.0.2.2 proto esp spi {256 + i}"
        return what + (f" reqid {i + 1} mode tunnel replay-window 32 aead rfc4106(gcm(aes)) 0x{KEY.hex()} 128" if verb == "add" else "")


class Client:
    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 6)
        self.socket.bind((0, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)

    @staticmethod
    def message(request, flags):
        kind, body = request
        return struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, 0, 0) + body + bytes(-len(body) % 4)

    def run(self, requests):
        """Sends the requests, PACKED in a datagram, the last of which is acknowledged; seconds that it took. Errors end the program."""
        packed = []
        for at in range(0, len(requests), PACKED):
            part = requests[at:at + PACKED]
            packed.append(b"".join([self.message(r, 0) for r in part[:-1]] + [self.message(part[-1], ACK)]))
        start = time.perf_counter()
        for datagram in packed:
            self.socket.send(datagram)
            self.until_acknowledged()
        return time.perf_counter() - start

    def until_acknowledged(self):
        while True:
            answer = self.socket.recv(RECEIVE)
            if struct.unpack_from("=H", answer, 4)[0] == 2:
                errno = -struct.unpack_from("=i", answer, 16)[0]
                if errno:
                    raise OSError(errno, os.strerror(errno))
                return

    def count(self, kind):
        """Dumps; how many entries, in how many seconds."""
        start, entries = time.perf_counter(), 0
        self.socket.send(self.message((kind, b""), DUMP))
        while True:
            data, at = self.socket.recv(RECEIVE), 0
            while at < len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind == 3:
                    return entries, time.perf_counter() - start
                if kind == 2:
                    raise OSError(-struct.unpack_from("=i", data, at + 16)[0], "dump")
                entries += 1
                at += (length + 3) & ~3


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def batch(what, count):
    client = Client()
    print("add", client.run([what.add(i) for i in range(count)]))
    entries, seconds = client.count(what.dump)
    assert entries == count, entries
    print("dump", seconds)
    print("delete", client.run([what.delete(i) for i in range(count)]))
    client.run([what.add(i) for i in range(count)])
    print("flush", client.run([what.flush]))
    assert client.count(what.dump)[0] == 0


def growth(what, sizes, pid):
    client, probe, filled = Client(), 5000, 0
    client.run([what.add(i) for i in range(probe)])
    client.run([what.flush])
    before = resident(pid) if pid else 0
    for size in sizes:
        for first in range(filled, size, 50000):
            client.run([what.add(i) for i in range(first, min(first + 50000, size))])
        filled = size
        memory = resident(pid) - before if pid else 0
        add = client.run([what.add(i) for i in range(size, size + probe)])
        # As far apart as they can be.
        get = client.run([what.get(i * (size // probe)) for i in range(probe)])
        delete = client.run([what.delete(i) for i in range(size, size + probe)])
        entries, dump = client.count(what.dump)
        assert entries == size, entries
        print(size, *(f"{seconds / probe * 1e6:.2f}" for seconds in (add, get, delete)), f"{dump / size * 1e6:.2f}", memory)
    print("flush", f"{client.run([what.flush]) / filled * 1e6:.2f}")


def main():
    command, what = sys.argv[1], {"policy": Policies, "state": States}[sys.argv[2]]()
    numbers = [int(a) for a in sys.argv[3:] if a.isdigit()]
    if command == "batch":
        batch(what, numbers[0])
    elif command == "growth":
        growth(what, numbers, int(os.environ.get("PID", "0")))
    elif command in ("fill", "drain"):
        client, make = Client(), what.add if command == "fill" else what.delete
        for at in range(0, numbers[0], 50000):
            client.run([make(i) for i in range(at, min(at + 50000, numbers[0]))])
    elif command == "repeat":
        client = Client()
        while True:
            client.count(what.dump)
            time.sleep(float(sys.argv[3]))
    elif command == "churn":
        client = Client()
        while True:
            client.run([what.add(numbers[0])])
            client.run([what.delete(numbers[0])])
            time.sleep(0.01)
    else:
        for i in range(int(sys.argv[4])):
            print(what.line(sys.argv[3], i))


main()
