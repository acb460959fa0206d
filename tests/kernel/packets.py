"""Packets as a peer would send them, for SAs whose keys are known (ESP with NULL or AES-GCM, AH, IPComp), and what a packet of such SAs says:
what scenarios.py lets in, and how compare.py reads what left. RFC 4303, 4302, 3173, 3948."""
import hashlib, hmac, ipaddress, struct, zlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ESP, AH, COMP, UDP, TCP, ICMP, ICMPV6 = 50, 51, 108, 17, 6, 1, 58
KEY, ICV, COMP_BITS = bytes(range(32)), 16, 11      # of HMAC-SHA-256-128; IPCOMP's window in Linux
GCM_KEY = bytes(range(20))                          # the salt last


def checksum(data):
    data += bytes(len(data) & 1)
    total = sum(struct.unpack('>%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip(src, dst, proto, payload, tos=0, ttl=64, ident=0x1234, df=False, offset=0, more=False, options=b'', length=None, flow=0):
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if a.version == 6:
        return struct.pack('>IHBB', 6 << 28 | tos << 20 | flow, len(payload) if length is None else length, proto, ttl) + a.packed + b.packed + payload
    head = struct.pack('>BBHHHBBH', 0x45 + len(options) // 4, tos, 20 + len(options) + len(payload) if length is None else length, ident, df << 14 | more << 13 | offset >> 3, ttl, proto, 0) + a.packed + b.packed + options
    return head[:10] + struct.pack('>H', checksum(head)) + head[12:] + payload


def udp(src, dst, sport, dport, payload, sums=True):
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    head = struct.pack('>HHHH', sport, dport, 8 + len(payload), 0)
    value = (checksum(a.packed + b.packed + struct.pack('>II', len(head + payload), UDP) + head + payload) or 0xffff) if sums else 0
    return head[:6] + struct.pack('>H', value) + payload


def sealed(src, dst, proto, data, at):
    """With the checksum of TCP or ICMPv6 at `at`; ICMP counts no addresses in."""
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    pseudo = b'' if proto == ICMP else a.packed + b.packed + struct.pack('>II', len(data), proto)
    return data[:at] + struct.pack('>H', checksum(pseudo + data)) + data[at + 2:]


def tcp(src, dst, sport, dport, flags, payload=b''):
    return sealed(src, dst, TCP, struct.pack('>HHIIBBHHH', sport, dport, 1000, 0, 5 << 4, flags, 8192, 0, 0) + payload, 16)


def icmp(src, dst, kind, code, rest, payload):
    """ICMP, or ICMPv6 between IPv6 addresses; of an error `payload` is what it quotes."""
    return sealed(src, dst, ICMPV6 if ':' in src else ICMP, struct.pack('>BBHI', kind, code, 0, rest) + payload, 2)


def esp(spi, sequence, payload, following, high=None, aead=False, pad=None, pad_length=None, extra=b''):
    """`high` are the upper 32 bits of an extended sequence number; `extra` is traffic flow padding; `pad` and `pad_length` say otherwise than RFC 4303."""
    payload += extra
    filler = bytes(range(1, 1 + -(len(payload) + 2) % 4)) if pad is None else pad
    plain = payload + filler + bytes([len(filler) if pad_length is None else pad_length, following])
    head, upper = struct.pack('>II', spi, sequence), b'' if high is None else struct.pack('>I', high)
    if aead:
        iv = struct.pack('>II', high or 0, sequence)
        return head + iv + AESGCM(GCM_KEY[:16]).encrypt(GCM_KEY[16:] + iv, plain, head[:4] + upper + head[4:])
    return head + plain + hmac.new(KEY, head + plain + upper, hashlib.sha256).digest()[:ICV]


def header(packet):
    """Length of an IP header without extensions, where the next protocol stands, and that."""
    return (40, 6, packet[6]) if packet[0] >> 4 == 6 else ((packet[0] & 15) * 4, 9, packet[9])


def between(packet, proto, data):
    """The packet with something else behind its own header (transport mode)."""
    size, at, _ = header(packet)
    head = bytearray(packet[:size])
    head[at] = proto
    if head[0] >> 4 == 6:
        struct.pack_into('>H', head, 4, len(data))
    else:
        seal(head, size + len(data))
    return bytes(head) + data


def seal(head, length):
    """Length and checksum of an IPv4 header."""
    struct.pack_into('>H', head, 2, length)
    head[10:12] = b'\0\0'
    struct.pack_into('>H', head, 10, checksum(bytes(head)))


def authenticated(packet, spi, sequence, high=None, align4=False):
    """AH in transport mode in front of what the packet carries (RFC 4302 3.3.3): the outer packet of a tunnel is made before."""
    size, _, following = header(packet)
    total = 12 + ICV
    total += -total % (4 if align4 and packet[0] >> 4 == 4 else 8)
    ah = struct.pack('>BBHII', following, total // 4 - 2, 0, spi, sequence) + bytes(total - 12)
    whole = bytearray(between(packet, AH, ah + packet[size:]))
    still = bytearray(whole)
    if packet[0] >> 4 == 6:
        still[0:4], still[7] = b'\x60\0\0\0', 0
    else:
        still[1], still[6:8], still[8], still[10:12] = 0, b'\0\0', 0, b'\0\0'
    digest = hmac.new(KEY, bytes(still) + (b'' if high is None else struct.pack('>I', high)), hashlib.sha256).digest()[:ICV]
    whole[size + 12:size + 12 + ICV] = digest
    return bytes(whole)


def deflate(data):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -COMP_BITS)
    return compressor.compress(data) + compressor.flush()


def fragments(packet, size):
    """Of an IPv4 packet without options."""
    body, out = packet[20:], []
    for at in range(0, len(body), size):
        out.append(ip(ipaddress.ip_address(packet[12:16]), ipaddress.ip_address(packet[16:20]), packet[9], body[at:at + size], tos=packet[1], ident=0x4321, offset=at, more=at + size < len(body)))
    return out


def told(packet):
    """What an outgoing packet of NULL and AH SAs says, without what is random in it: identifications, checksums over them, ICVs."""
    try:
        return _told(packet)
    except (IndexError, struct.error, zlib.error):
        return [packet.hex()]


def outer(packet):
    """The header of an IP packet without what is chance in it."""
    if packet[0] >> 4 == 4:
        head = bytearray(packet[:(packet[0] & 15) * 4])
        head[4:6], head[10:12] = b'\0\0', b'\0\0'
    else:
        head = bytearray(packet[:40])
        label = struct.unpack_from('>I', head)[0] & 0xfffff      # a hash: whether there is one
        struct.pack_into('>I', head, 0, struct.unpack_from('>I', head)[0] - label + (label != 0))
    return 'ip %s' % head.hex()


def _told(packet):
    out = []
    while packet is not None:
        out.append(outer(packet))
        if packet[0] >> 4 == 4:
            size, fragment = (packet[0] & 15) * 4, struct.unpack_from('>H', packet, 6)[0]
            following, body = packet[9], packet[size:]
            if fragment & 0x3fff:
                return ['fragment']
        else:
            following, body = packet[6], packet[40:]
            if following == 44:
                return ['fragment']
        packet = None
        while packet is None:
            if following == UDP and 4500 in struct.unpack_from('>HH', body) and body[8:12] != bytes(4):
                out.append('udp %s' % body[:6].hex())
                following, body = ESP, body[8:]
            elif following == ESP:
                inner = body[8:-ICV]
                length, following = inner[-2], inner[-1]
                out.append('esp %s pad %s' % (body[:8].hex(), inner[len(inner) - 2 - length:].hex()))
                body = inner[:len(inner) - 2 - length]
            elif following == AH:
                total = (body[1] + 2) * 4
                out.append('ah %s %d' % (body[:12].hex(), total))
                following, body = body[0], body[total:]
            elif following == COMP:
                out.append('comp %s' % body[:4].hex())
                following, body = body[0], zlib.decompress(body[4:], -15)
            elif following in (4, 41):
                packet = body
            elif following in (1, 58) and body[0] in ((3, 11, 12) if following == 1 else (1, 2, 3, 4)):
                return ['icmp %s about %s' % (body[:2].hex() + body[4:8].hex(), outer(body[8:]))]      # in whose name: docs/compat.md
            else:
                plain = len(out) == 1       # its checksum may be left to the device
                return out + ['%d %s' % (following, body[:6].hex() + body[8:].hex() if plain and following == UDP else body.hex())]
    return out
