#!/usr/bin/python3
"""record.py TOOLS IN.jsonl OUT.jsonl: the oracle's recorder (TOOLS/record.py) with more kinds of steps:
{"open": NAME, "groups": [n, ...], "options": [n, ...]}   a netlink socket in some groups, with some options of SOL_NETLINK
{"socket": NAME, "family": f}                             an ordinary UDP socket
{"option": [level, name], "on": NAME, "hex": value}       setsockopt on it ("get": true: getsockopt)
{"gone": NAME}                                            closes it
{"sock": NAME, "hex": ..., "take": n}                     of the answer only n datagrams are read until a step {"rest": NAME}"""
import errno, os, socket, sys

sys.path.insert(0, sys.argv[1])
import record
import xfrmlib as X


class Run(record.Run):
    def __init__(self, opts):
        self.ordinary, self.held = {}, {}
        super().__init__(opts)

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
        for s in self.ordinary.values():
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


record.Run = Run
record.main(*sys.argv[2:4])
