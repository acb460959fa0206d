#!/usr/bin/python3
"""record.py TOOLS IN.jsonl OUT.jsonl: the oracle's recorder (TOOLS/record.py) with more kinds of steps:
{"open": NAME, "groups": [n, ...], "options": [n, ...]}   a netlink socket in some groups, with some options of SOL_NETLINK
{"socket": NAME, "family": f}                             an ordinary UDP socket
{"option": [level, name], "on": NAME, "hex": value}       setsockopt on it ("get": true: getsockopt)
{"hear": [level, name], "hex": value}                     setsockopt on the socket that hears what comes
{"gone": NAME}                                            closes it
{"sock": NAME, "hex": ..., "take": n}                     of the answer only n datagrams are read until a step {"rest": NAME}
{"inject": packet, "at": cable}                           lets an IP packet in by the cable's far end, v1 or w1; "delivered" and "to_ike_socket" are what
                                                          sockets got (payload, whence, TOS, mark), "wire" and "lan" what left by v1 and w1,
                                                          "xfrm_stat" the counters that moved
{"ike": true}                                             from now on sockets on port 4500 that take ESP in UDP
{"send": {src, dst, sport, dport, len, ...}}              a datagram; "wire" is what left by v1"""
import errno, fcntl, socket, struct, sys

sys.path.insert(0, sys.argv[1])
import record
import xfrmlib as X


EAR, IKE = 7000, 4500
UDP_ENCAP, ESPINUDP = 100, 2
MARK, RCVMARK = 36, 75


class Run(record.Run):
    def __init__(self, opts):
        self.ordinary, self.held = {}, {}
        self.cables, self.ears, self.ike = {}, [], []
        super().__init__(opts)

    def plug_in(self):
        """A socket on each cable's far end, and one on each port where datagrams shall arrive."""
        if not self.cables:
            for far, near in (('v1', 'v0'), ('w1', 'w0')):
                if any(name == far for _, name in socket.if_nameindex()):
                    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
                    s.bind((far, 3))
                    s.setblocking(False)
                    self.cables[far] = s, hardware_address(near)
            self.ears = ears(EAR)

    def inject(self, packet, at):
        self.plug_in()
        self.left()
        before = counters()
        cable, near = self.cables[at]
        cable.send(near + b'\2\0\0\0\0\2' + (b'\x86\xdd' if packet[0] >> 4 == 6 else b'\x08\0') + packet)
        out = self.drain(40)
        moved = counters_since(before)
        return {'out': out, 'delivered': heard(self.ears), 'to_ike_socket': heard(self.ike), 'xfrm_stat': moved, **self.left()}

    def sent(self, u):
        self.plug_in()
        self.left()
        six = ':' in u['dst']
        s, r = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM), {}
        before = counters()
        try:
            if u.get('mark'):
                s.setsockopt(socket.SOL_SOCKET, 36, u['mark'])
            for option, value in u.get('options', []):
                s.setsockopt(*option, bytes.fromhex(value) if isinstance(value, str) else value)
            s.bind((u['src'], u.get('sport', 0)))
            s.setblocking(False)
            for _ in range(u.get('n', 1)):
                try:
                    s.sendto(bytes(i & 0xff for i in range(u['len'])), (u['dst'], u['dport']))
                except OSError as e:
                    r['send_errno'] = errno.errorcode[e.errno]
        except OSError as e:
            r['send_errno'] = errno.errorcode[e.errno]
        finally:
            s.close()
        r['out'] = self.drain(40)
        moved = counters_since(before)
        return dict(r, **self.left(), xfrm_stat=moved)

    def left(self):
        """IP packets that came by the cables, neighbour discovery and multicast housekeeping left out."""
        return {name: [p.hex() for p in packets(self.cables[far][0])] for name, far in (('wire', 'v1'), ('lan', 'w1')) if far in self.cables}

    def is_netlink(self, name):
        return not name.startswith('pk')

    def drain(self, wait_ms=3):
        """The other one knows netlink sockets by three names; for the time of a call all of them have these."""
        known, out = self.s, []
        others = [n for n in known if self.is_netlink(n) and n not in ('nl', 'nlx', 'mc')]
        self.s = {n: s for n, s in known.items() if n not in others and n not in self.held}
        try:
            out = super().drain(wait_ms)
            for name in others:
                if name not in self.held:
                    self.s = {'mc': known[name]}
                    out += [dict(m, sock=name) for m in super().drain(0)]
        finally:
            self.s = known
        return out

    def read(self, name):
        """One datagram."""
        self.s, known = {'mc': Once(self.s[name])}, self.s
        try:
            return [dict(m, sock=name) for m in super().drain(5)]
        finally:
            self.s = known

    def step(self, st):
        r = {k: st[k] for k in ('what', 'open', 'socket', 'family', 'option', 'on', 'gone', 'take', 'rest') if k in st}
        if 'socket' in st:
            self.ordinary[st['socket']] = socket.socket(st['family'], socket.SOCK_DGRAM)
        elif 'option' in st:
            try:
                s, value = self.ordinary[st['on']], bytes.fromhex(st['hex'])
                r['value'] = s.getsockopt(*st['option'], len(value)).hex() if st.get('get') else s.setsockopt(*st['option'], value)
            except OSError as e:
                r['send_errno'] = errno.errorcode[e.errno]
        elif 'hear' in st:
            self.plug_in()
            try:
                self.ears[st['hear'][0] != 0].setsockopt(*st['hear'], bytes.fromhex(st['hex']))
            except OSError as e:
                r['send_errno'] = errno.errorcode[e.errno]
        elif 'gone' in st:
            self.ordinary.pop(st['gone']).close()
        elif 'open' in st and isinstance(st.get('groups'), list):
            s = record.nlsock()
            for option in st.get('options', []):
                s.setsockopt(record.SOL_NETLINK, option, 1)
            for group in st['groups']:
                s.setsockopt(record.SOL_NETLINK, 1, group)
            self.s[st['open']] = s
            self.port[s.getsockname()[0]] = st['open'].upper()
        elif 'ike' in st:
            self.ike = ears(IKE)
            for s in self.ike:
                s.setsockopt(socket.IPPROTO_UDP, UDP_ENCAP, ESPINUDP)
        elif 'inject' in st:
            return dict(r, inject=st['inject'], **self.inject(bytes.fromhex(st['inject']), st.get('at', 'v1')))
        elif 'send' in st:
            return dict(r, send=st['send'], **self.sent(st['send']))
        elif 'rest' in st:
            self.held.pop(st['rest'], None)
        elif 'take' in st:
            self.held[st['sock']] = True
            r['sock'], r['hex'] = st['sock'], st['hex']
            r['req'] = X.decode_nl_one(bytes.fromhex(st['hex']))[0]
            self.s[st['sock']].send(bytes.fromhex(st['hex']))
            r['out'] = [m for _ in range(st['take']) for m in self.read(st['sock'])]
            return r
        else:
            return super().step(st)
        r['out'] = self.drain()
        return r

    def close(self):
        for s in [*self.ordinary.values(), *self.ears, *self.ike, *(s for s, _ in self.cables.values())]:
            s.close()
        super().close()


class Once:
    """A socket that has one datagram."""
    def __init__(self, s):
        self.s = s

    def recv(self, size):
        s, self.s = self.s, None
        if s is None:
            raise BlockingIOError
        return s.recv(size)


def hardware_address(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        return fcntl.ioctl(s, 0x8927, struct.pack('16s16x', name.encode()))[18:24]


def packets(cable):
    out = []
    while True:
        try:
            frame, whence = cable.recvfrom(1 << 16)
        except BlockingIOError:
            return out
        packet = frame[14:]
        if whence[2] == 4 or frame[12:14] not in (b'\x08\0', b'\x86\xdd'):
            continue
        if packet[0] >> 4 == 6 and (packet[6] == 0 or packet[6] == 58 and 130 <= packet[40] <= 143) or packet[0] >> 4 == 4 and packet[9] == 2:
            continue
        out.append(packet)


def ears(port):
    out = []
    for family, address in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):
        s = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        s.setsockopt(socket.SOL_SOCKET, RCVMARK, 1)
        s.bind((address, port))
        s.setblocking(False)
        out.append(s)
    return out


def heard(sockets):
    out = []
    for s in sockets:
        while True:
            try:
                payload, more, _, whence = s.recvmsg(1 << 16, 64)
            except BlockingIOError:
                break
            told = {(level, kind): int.from_bytes(data, 'little') for level, kind, data in more}
            mark = told.pop((socket.SOL_SOCKET, MARK))
            out.append({'payload': payload.hex(), 'from': whence[:2], 'tos': next(iter(told.values()), None), 'mark': mark})
    return out


def counters():
    with open('/proc/net/xfrm_stat') as f:
        return {name: int(value) for name, value in map(str.split, f)}


def counters_since(before):
    return {name: value - before.get(name, 0) for name, value in counters().items() if value != before.get(name, 0)}


record.Run = Run
record.main(*sys.argv[2:4])
