"""Requests of NETLINK_XFRM that need no transform, for the programs beside."""
import socket, struct


def msg(kind, body=b'', flags=5, seq=1, pid=0, length=None):
    return struct.pack('<IHHII', 16 + len(body) if length is None else length, kind, flags, seq, pid) + body + b'\0' * (-len(body) % 4)


def selector(i):
    return (socket.inet_aton('10.%d.%d.1' % (i >> 8 & 255, i & 255)) + bytes(12) + socket.inet_aton('10.0.0.1') + bytes(12) + bytes(8)
            + struct.pack('<HBBBxxx', 2, 32, 32, 0) + bytes(8))


def policy(i=1, seq=1, flags=5, tail=b'', kind=19, pid=0):
    return msg(kind, selector(i) + b'\xff' * 32 + bytes(32) + bytes(32) + struct.pack('<IIBBBBxxxx', 1, 0, 1, 0, 0, 0) + tail, flags, seq, pid)


def policy_id(kind, i=1, seq=1, flags=5, pid=0):
    return msg(kind, selector(i) + struct.pack('<IBxxx', 0, 1), flags, seq, pid)
