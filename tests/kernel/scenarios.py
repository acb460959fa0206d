#!/usr/bin/python3
"""scenarios.py ORACLE SEED COUNT >X.in.jsonl: random scenarios for the oracle's recorder (ORACLE/tools/record.py).

Each begins as steps of recorded scenarios, brought together, and is then changed: fields of a message, attributes or extensions (added, taken
away, doubled, cut, renamed, filled anew), header flags, lengths, single bytes, the order of the steps. One seed makes the same scenarios again.
THEMES in the environment names the themes (methods of Themes) that all of them shall be about.
Left out is what a comparison cannot judge: what Linux knows since 6.13 only, and what chance decides."""
import gzip, json, os, random, socket, struct, sys

oracle, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
THEMES = os.environ.get('THEMES', '').split()
sys.path.insert(0, os.path.join(oracle, 'tools'))
import packets as P
import xfrmlib as X

NEWER = range(36, 50)                 # XFRMA_IPTFS_* (6.14) and what may follow
IS_NEWER = bool(os.environ.get('NEWER'))                 # the kernel that is asked is a 6.18
PER_CPU = ('NEWSA', 'UPDSA', 'ALLOCSPI', 'ACQUIRE')      # where XFRMA_SA_PCPU may stand: a 6.12 that knows it does not mind it elsewhere
ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '0.0.0.0', '127.0.0.1', '224.0.0.1', '2001:db8::1', '2001:db8::2', '::', 'ff02::1', '::ffff:10.0.0.1']
PROTOCOLS = [0, 4, 6, 17, 41, 43, 50, 50, 51, 60, 108, 255]
FAMILIES = [0, 2, 2, 10, 10, 7, 255]
WIDE = [0, 1, 2, 3, 5, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff]
LIMITS = [0, 1, 1000, 0xffffffff, 0xffffffffffffffff]
VALUES = {
    'proto': PROTOCOLS, 'satype': [0, 2, 3, 9, 1, 5, 200], 'family': FAMILIES, 'old_family': FAMILIES, 'new_family': FAMILIES,
    'mode': [0, 1, 2, 3, 4, 1, 0, 6, 255], 'spi': [0, 1, 0xff, 0x100, 0x1000, 0x1000, 0x1001, 0x1234, 0xffff, 0x10000, 0xffffffff],
    'replay_window': [0, 1, 31, 32, 33, 64, 255], 'replay': [0, 1, 32, 33, 64, 255], 'reqid': [0, 1, 2, 0x3fff, 0x4000, 0xffffffff],
    'dir': [0, 1, 2, 3, 4, 5, 255], 'action': [0, 1, 2, 255], 'share': [0, 1, 2, 3, 4, 255], 'optional': [0, 1, 255], 'level': [0, 1, 2, 3, 4],
    'prefixlen': [0, 1, 24, 31, 32, 33, 64, 127, 128, 129, 255], 'prefixlen_d': [0, 1, 24, 32, 33, 64, 128, 129], 'prefixlen_s': [0, 1, 24, 32, 33, 64, 128, 129],
    'splen': [0, 8, 32, 33, 128, 129], 'dplen': [0, 8, 32, 33, 128, 129], 'ifindex': [0, 1, 77], 'index': [0, 0x100001, 0x100000, 0x100002, 0x100009, 0xffffffff],
    'priority': [0, 1, 1000, 0x80000000, 0xffffffff], 'type': [0, 1, 2, 3, 255], 'min': [0, 1, 0x100, 0x1000], 'max': [0, 0x1000, 0xffff, 0xffffffff],
    'state': [0, 1, 2, 3, 4, 255], 'auth': [0, 2, 3, 5, 6, 7, 8, 9, 250, 251, 252, 255], 'encrypt': [0, 2, 3, 6, 7, 11, 12, 13, 18, 20, 22, 23, 252, 253, 255],
    'encap_type': [0, 1, 2, 7, 8], 'alg_icv_len': [0, 32, 64, 96, 128, 160, 0xffffffff], 'alg_trunc_len': [0, 1, 32, 96, 128, 160, 256, 512, 513],
    'alg_key_len': [0, 1, 7, 8, 64, 128, 160, 192, 224, 256, 288, 512, 4096, 0xffffffff], 'bmp_len': [0, 1, 2, 4, 127, 128, 129], 'hard': [0, 1, 2, 255],
    'in': [0, 1, 2, 3, 255], 'out': [0, 1, 2, 3, 255], 'fwd': [0, 1, 2, 3, 255], 'lbits': [0, 8, 32, 33, 128, 129], 'rbits': [0, 8, 32, 33, 128, 129],
    # The two timers of a state or policy must not run out during a scenario.
    'soft_add_expires_seconds': [0, 1000, 5000], 'hard_add_expires_seconds': [0, 1000, 5000], 'soft_use_expires_seconds': [0, 1000], 'hard_use_expires_seconds': [0, 1000],
    'soft_byte_limit': LIMITS, 'hard_byte_limit': LIMITS, 'soft_packet_limit': LIMITS, 'hard_packet_limit': LIMITS,
}
UNLIMITED = {f'{when}_{what}_limit': LIMITS[-1] for when in ('soft', 'hard') for what in ('byte', 'packet')}
NAMES = ['hmac(sha1)', 'hmac(sha256)', 'hmac(sha384)', 'hmac(sha512)', 'hmac(md5)', 'md5', 'sha1', 'xcbc(aes)', 'cmac(aes)', 'hmac(rmd160)', 'digest_null', 'cbc(aes)', 'aes',
         'ecb(cipher_null)', 'cipher_null', 'cbc(des)', 'cbc(des3_ede)', 'cbc(camellia)', 'cbc(serpent)', 'cbc(twofish)', 'cbc(blowfish)', 'cbc(cast5)', 'rfc3686(ctr(aes))', 'deflate',
         'rfc4106(gcm(aes))', 'rfc4309(ccm(aes))', 'rfc4543(gcm(aes))', 'rfc7539esp(chacha20,poly1305)', 'gcm(aes)', 'nonsense', '', 'x' * 63, 'x' * 64]


def u32s(*values):
    return [X.u32(v) for v in values]


# Attributes that the recordings have seldom or never, well made.
MADE = {
    'ENCAP': [X.enc('xfrm_encap_tmpl', encap_type=t, encap_sport=s, encap_dport=4500, encap_oa=o) for t in (1, 2, 7) for s in (0, 4500) for o in (0, '10.0.0.9')],
    'COADDR': [X.addr(a) for a in ADDRESSES], 'SRCADDR': [X.addr(a) for a in ADDRESSES], 'LASTUSED': [X.u64(0), X.u64(77)],
    'LTIME_VAL': [X.enc('xfrm_lifetime_cur', bytes=1, packets=2, add_time=3, use_time=4)], 'REPLAY_VAL': [X.enc('xfrm_replay_state', oseq=o, seq=5, bitmap=0xf) for o in (0, 9)],
    'REPLAY_THRESH': u32s(0, 1, 7), 'ETIMER_THRESH': u32s(0, 500), 'MTIMER_THRESH': u32s(0, 1, 9), 'POLICY_TYPE': [bytes([t, 0, 0, 0, 0, 0]) for t in (0, 1, 2)],
    'KMADDRESS': [X.enc('xfrm_user_kmaddress', local='10.0.0.1', remote='10.0.0.2', family=f) for f in (0, 2, 10)],
    'MARK': [struct.pack('<II', v, m) for v in (0, 1, 5, 0xffffffff) for m in (0, 1, 0xffffffff)], 'TFCPAD': u32s(0, 1, 1000, 0xffffffff),
    'REPLAY_ESN_VAL': [X.esn(w, n, oseq, seq, oh, sh) for w in (0, 1, 32, 64, 4096, 4097) for n in (None, 1) for oseq, seq, oh, sh in ((0, 0, 0, 0), (7, 9, 1, 1))],
    'SA_EXTRA_FLAGS': u32s(0, 1, 2, 3, 4, 0xffffffff), 'PROTO': [bytes([p]) for p in PROTOCOLS],
    'ADDRESS_FILTER': [X.enc('xfrm_address_filter', saddr=a, daddr=b, family=f, splen=p, dplen=q) for a, b, f in (('10.0.0.1', '10.0.0.2', 2), (0, 0, 0), ('2001:db8::1', '2001:db8::2', 10)) for p in (0, 8, 32) for q in (0, 24, 33)],
    'PAD': [b'', bytes(8)], 'OFFLOAD_DEV': [struct.pack('<iB3x', i, f) for i in (0, 1, 77) for f in (0, 1, 2, 3, 4, 7, 8)], 'SET_MARK': u32s(0, 5, 0xffffffff), 'SET_MARK_MASK': u32s(0, 0xff),
    'IF_ID': u32s(0, 1, 7), 'SA_DIR': [bytes([d]) for d in (0, 1, 2, 3)], 'NAT_KEEPALIVE_INTERVAL': u32s(0, 20), 'SA_PCPU': u32s(0, 0, 0xfffffff0, 0xffffffff),
    'SEC_CTX': [X.enc('xfrm_user_sec_ctx', len=12, exttype=8, ctx_alg=1, ctx_doi=1, ctx_len=4) + b'abc\0'],
    'MIGRATE': [X.enc('xfrm_user_migrate', old_daddr='10.0.0.2', old_saddr='10.0.0.1', new_daddr='10.0.0.3', new_saddr=s, proto=p, mode=1, reqid=q, old_family=2, new_family=2)
                for s in ('10.0.0.1', '10.0.0.3') for p in (50, 51, 0) for q in (0, 1)],
}


if IS_NEWER:
    X.A.update(IPTFS_REORDER_WINDOW=37, IPTFS_DONT_FRAG=38, IPTFS_INIT_DELAY=39, IPTFS_MAX_QSIZE=40, IPTFS_PKT_SIZE=41)
    X.AN.update({number: name for name, number in X.A.items()})
    MADE.update(IPTFS_DROP_TIME=u32s(0, 1000000, 0xffffffff), IPTFS_REORDER_WINDOW=[struct.pack('<H', w) for w in (0, 3, 0xffff)], IPTFS_DONT_FRAG=[b'', b'\0'], IPTFS_INIT_DELAY=u32s(0, 500),
                IPTFS_MAX_QSIZE=u32s(0, 1 << 20), IPTFS_PKT_SIZE=u32s(0, 500, 1400, 0xffffffff), SA_PCPU=u32s(0, 0, 1, 0xfffffff0, 0xffffffff))
    VALUES['mode'] += [5, 5]


class Made(random.Random):
    def value(self, field, kind):
        if kind == 'addr':
            return self.choice(ADDRESSES)
        if kind.startswith('char'):
            return self.choice(NAMES)
        return self.choice(VALUES.get(field, WIDE)) & (1 << 8 * X.PRIM[kind][1]) - 1

    def field(self, name, data, base=0):
        """Another value for one field of the structure `name` at `base` of `data`."""
        while True:
            field, kind, offset, _ = self.choice(X.layout(name)['lay'])
            base += offset
            if kind not in X.S:
                break
            name = kind
        X.D('one', 'one:' + kind)
        new = X.enc('one', one=self.value(field, kind))
        data[base:base + len(new)] = new


def cut(data, size):
    return data[:size] + bytes(max(0, size - len(data)))


class Netlink:
    """A netlink message taken apart: header, body, attributes."""
    BODIES = dict(X.BODY, GETSA='xfrm_usersa_id', DELSA='xfrm_usersa_id', DELPOLICY='xfrm_userpolicy_id', GETPOLICY='xfrm_userpolicy_id', GETDEFAULT='xfrm_userpolicy_default')
    ATTRIBUTES = dict(X.ATTR, ALG_AUTH='xfrm_algo', ALG_CRYPT='xfrm_algo', ALG_COMP='xfrm_algo', ALG_AUTH_TRUNC='xfrm_algo_auth', ALG_AEAD='xfrm_algo_aead',
                      REPLAY_ESN_VAL='xfrm_replay_state_esn', TMPL='xfrm_user_tmpl', MIGRATE='xfrm_user_migrate', SEC_CTX='xfrm_user_sec_ctx')

    def __init__(self, data):
        _, self.type, self.flags, self.seq, self.pid = struct.unpack_from('<IHHII', data)
        self.body_name = self.BODIES.get(X.MSGN.get(self.type))
        size = X.align(X.sizeof(self.body_name), 4) if self.body_name else 0
        self.body, self.parts, rest = bytearray(data[16:16 + size]), [], data[16 + size:]
        while len(rest) >= 4:
            length, kind = struct.unpack_from('<HH', rest)
            if length < 4:
                break
            self.parts.append([kind, bytearray(rest[4:length])])
            rest = rest[X.align(length, 4):]
        self.spi_info = X.MSGN.get(self.type) in ('GETSADINFO', 'GETSPDINFO', 'NEWSADINFO', 'NEWSPDINFO')

    def bytes(self):
        tail = b''.join(struct.pack('<HH', 4 + len(d), t) + bytes(d) + bytes(-len(d) % 4) for t, d in self.parts)
        return struct.pack('<IHHII', 16 + len(self.body) + len(tail), self.type, self.flags, self.seq, self.pid) + bytes(self.body) + tail

    def change(self, r, pool, fixed):
        what = r.choice(['body'] * 4 + ['part'] * 3 + ['add'] * 4 + ['drop', 'double', 'cut', 'nested', 'rename', 'order', 'flags', 'type', 'short'])
        if what == 'body' and self.body_name and len(self.body) >= X.sizeof(self.body_name):
            r.field(self.body_name, self.body)
        elif what == 'add' and not self.spi_info:
            name = r.choice(list(MADE))
            kind, data = r.choice([(X.A[name], r.choice(MADE[name])), r.choice(pool)])
            self.parts.insert(r.randint(0, len(self.parts)), [kind, bytearray(data)])
        elif what == 'flags' and not fixed:
            self.flags ^= r.choice([1, 4, 8, 0x100, 0x200, 0x300, 0x400, 0x800, 2])
        elif what == 'type' and not fixed:
            self.type = r.choice([*X.MSG.values(), 0x10, 0x12, 0x1a, 0x29, 0x30, 1, 3, 15, 0x7fff])
        elif what == 'short' and not fixed and r.random() < .3:
            self.body = self.body[:r.randrange(len(self.body) + 1)]
        elif self.parts:
            i = r.randrange(len(self.parts))
            kind, data = self.parts[i]
            if what == 'part':
                name = self.ATTRIBUTES.get(X.AN.get(kind & 0x3fff))
                if name and len(data) >= X.sizeof(name) and r.random() < .8:
                    r.field(name, data, r.randrange(len(data) // X.sizeof(name)) * X.sizeof(name) if name in ('xfrm_user_tmpl', 'xfrm_user_migrate') else 0)
                elif data:
                    data[r.randrange(len(data))] = r.choice([0, 1, 2, 0x7f, 0x80, 0xff])
            elif what == 'drop':
                del self.parts[i]
            elif what == 'double':
                self.parts.insert(r.randint(0, len(self.parts)), [kind, bytearray(data)])
            elif what == 'cut':
                self.parts[i][1] = bytearray(cut(data, max(0, len(data) + r.choice([-len(data), -8, -4, -1, 1, 4, 8, 64]))))
            elif what == 'nested':
                self.parts[i][0] ^= r.choice([0x8000, 0x4000, 0xc000])
            elif what == 'rename':
                self.parts[i][0] = r.choice([*range(0, 35), 60, 200, 0x3fff])
            elif what == 'order':
                r.shuffle(self.parts)


class PfKey:
    """A PF_KEY message taken apart: header and extensions."""
    EXTENSIONS = {1: ('sadb_sa', 0), 2: ('sadb_lifetime', 0), 3: ('sadb_lifetime', 0), 4: ('sadb_lifetime', 0), 18: ('sadb_x_policy', 0), 19: ('sadb_x_sa2', 0), 16: ('spirange', 0)}

    def __init__(self, data):
        self.head, self.parts, rest = bytearray(data[:16]), [], data[16:]
        self.odd = struct.unpack_from('<H', data, 4)[0] * 8 != len(data)
        while len(rest) >= 4:
            length, kind = struct.unpack_from('<HH', rest)
            if length == 0 or length * 8 > len(rest):
                self.odd = True
                break
            self.parts.append([kind, bytearray(rest[4:length * 8])])
            rest = rest[length * 8:]

    def bytes(self):
        tail = b''.join(struct.pack('<HH', (4 + len(d)) // 8, t) + bytes(d) for t, d in self.parts)
        self.head[4:6] = struct.pack('<H', (16 + len(tail)) // 8)
        return bytes(self.head) + tail

    def change(self, r, pool, fixed):
        what = r.choice(['part'] * 6 + ['address'] * 3 + ['add'] * 3 + ['drop', 'double', 'cut', 'rename', 'order', 'satype', 'type', 'head'])
        if what == 'satype':
            self.head[3] = r.choice([0, 2, 3, 3, 9, 1, 5, 100, 255])
        elif what == 'type':
            self.head[1] = r.randrange(0, 26)
        elif what == 'head':
            self.head[r.choice([0, 2, 6, 7, 8, 12])] = r.choice([0, 1, 2, 3, 255])
        elif what == 'add':
            kind, data = r.choice(pool)
            self.parts.insert(r.randint(0, len(self.parts)), [kind, bytearray(data)])
        elif self.parts:
            i = r.randrange(len(self.parts))
            kind, data = self.parts[i]
            if what == 'address':
                addresses = [p for p in self.parts if p[0] in (5, 6, 7, 23)]
                if addresses:
                    old = r.choice(addresses)
                    old[1][:] = X.x_addr(old[0], r.choice(ADDRESSES), r.choice([0, 0, 500]), r.choice([0, 6, 17, 255]), r.choice([0, 24, 32, 33, 64, 128, 129]), r.choice([None, None, None, 2, 10, 7]))[4:]
            elif what == 'part':
                name, base = self.EXTENSIONS.get(kind, (None, 0))
                if name and len(data) >= X.sizeof(name):
                    if name == 'sadb_x_policy' and len(data) >= 12 + 16 and r.random() < .6:
                        name, base = 'sadb_x_ipsecrequest', 12
                    r.field(name, data, base)
                elif data:
                    data[r.randrange(len(data))] = r.choice([0, 1, 2, 8, 32, 0x7f, 0x80, 0xff])
            elif what == 'drop':
                del self.parts[i]
            elif what == 'double':
                self.parts.insert(r.randint(0, len(self.parts)), [kind, bytearray(data)])
            elif what == 'cut':
                self.parts[i][1] = bytearray(cut(data, max(4, len(data) + r.choice([-8, -16, 8, 16]))))
            elif what == 'rename':
                self.parts[i][0] = r.randrange(0, 30)
            elif what == 'order':
                r.shuffle(self.parts)


# sadb_lifetime and sadb_spirange are drawn without the library's alignment: their 64-bit fields begin at 4.
X.D('sadb_lifetime', 'allocations:u32', 'soft_byte_limit_low:u32', 'bytes_high:u32', 'soft_add_expires_seconds:u32', 'high0:u32', 'soft_use_expires_seconds:u32', 'high1:u32')
X.D('spirange', 'min:u32', 'max:u32', 'reserved:u32')
VALUES['high0'] = VALUES['high1'] = [0]


def parse(step):
    data = bytes.fromhex(step['hex'])
    if step['sock'].startswith('pk'):
        message = PfKey(data) if len(data) >= 16 else None
        return None if message is None or message.odd or message.bytes() != data else message
    message = Netlink(data) if len(data) >= 16 else None
    return None if message is None or message.bytes() != data else message


def newer(step):
    """True where the message says something that only Linux 6.13 and later understand, or name otherwise (XFRM_MODE_MAX, in an extended ACK)."""
    message = None if 'hex' not in step or step.get('sock', 'pk').startswith('pk') else parse(step)
    if IS_NEWER or message is None or message.spi_info:
        return False
    if X.MSGN.get(message.type) in ('NEWSA', 'UPDSA') and len(message.body) == X.sizeof('xfrm_usersa_info') and X.dec('xfrm_usersa_info', message.body)['mode'] == 5:
        return True
    if X.MSGN.get(message.type) == 'MIGRATE' and any(kind & 0x3fff == X.A['OFFLOAD_DEV'] for kind, _ in message.parts):
        return True
    if any(kind & 0x3fff == X.A['SA_PCPU'] for kind, _ in message.parts) and X.MSGN.get(message.type) not in PER_CPU:
        return True
    return any(kind & 0x3fff in NEWER or kind & 0x3fff == X.A['TMPL'] and any(mode > 4 for mode in data[48::64]) for kind, data in message.parts)


def chance(step):
    """True for a request for an SPI of a narrow range: Linux draws as often as the range is wide, and may miss the one that is free."""
    if 'hex' not in step or 'sock' not in step:
        return False
    data = bytes.fromhex(step['hex'])
    low = high = 0
    if step['sock'].startswith('pk'):
        message = parse(step)
        for low, high in [struct.unpack_from('<II', d) for kind, d in message.parts if kind == X.E['SPIRANGE'] and len(d) >= 8] if message else []:
            break
    elif len(data) >= 248 and data[4] == X.MSG['ALLOCSPI']:
        low, high = struct.unpack_from('<II', data, 240)
    return low < high and high - low < 0x800


def load():
    scenarios = []
    for name in ('nl', 'pk'):
        for line in gzip.open(os.path.join(oracle, name + '.in.jsonl.gz'), 'rt'):
            s = json.loads(line)
            steps = s['steps']
            if s.get('opts', {}).get('mods') or any('hex' not in t for t in steps) or any(newer(t) for t in steps):
                continue            # commands, traffic and waiting cost time and test other parts
            scenarios.append((name, s.get('opts', {}), steps))
    return scenarios


def change_step(r, step, pools):
    if step.get('capture') or not step.get('hex') or 'sock' not in step:
        return step
    pk = step['sock'].startswith('pk')
    if pk and step.get('patch'):
        return step                 # an extension that moves would carry the value elsewhere
    message = parse(step)
    step = dict(step)
    if message is None or r.random() < .03:
        data = bytearray.fromhex(step['hex'])
        if not step.get('patch') and data:
            what = r.randrange(3)
            if what == 0:
                data[r.randrange(len(data))] = r.choice([0, 1, 2, 4, 8, 0x7f, 0x80, 0xff])
            elif what == 1:
                data = data[:r.randrange(len(data))]
            else:
                data += bytes(r.choice([1, 4, 8, 16]))
        step['hex'] = data.hex()
        return step
    for _ in range(r.choice([1, 1, 1, 2, 2, 3, 5])):
        message.change(r, pools[pk], bool(step.get('patch')))
    step['hex'] = message.bytes().hex()
    if step['sock'] in ('nl', 'nlx') and r.random() < .05 and not step.get('patch'):
        step['sock'] = r.choice(['nl', 'nlx'])
    return step


class Composer:
    """Steps made anew around few states and policies, so that they meet: the same SPI with other marks, a policy from the other family of sockets."""
    NETLINK = ['newsa'] * 5 + ['newpolicy'] * 4 + ['getsa', 'delsa', 'getsa_dump', 'allocspi', 'flushsa', 'getpolicy', 'delpolicy', 'getpolicy_dump', 'flushpolicy',
                               'newae', 'newae', 'getae', 'expire', 'polexpire', 'polexpire', 'migrate', 'migrate', 'migrate', 'acquire', 'default', 'info', 'other']
    PF_KEY = ['add'] * 4 + ['spdadd'] * 4 + ['get', 'delete', 'getspi', 'flush', 'dump', 'register', 'pk_acquire', 'spddelete', 'spdget', 'spddump', 'spdflush', 'pk_migrate', 'pk_migrate', 'promisc', 'pk_other']

    WIRE = [['ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'], ['ip', 'addr', 'add', '10.0.0.1/24', 'dev', 'v0'],
            ['ip', 'addr', 'add', '2001:db8::1/64', 'dev', 'v0', 'nodad'], ['ip', 'link', 'set', 'v0', 'up'], ['ip', 'link', 'set', 'v1', 'up']]

    def __init__(self, r):
        self.r, self.sequence = r, 0
        # Seldom: the commands that traffic wants are slow in the guest, and so is waiting for limits, each due in a second of its own.
        self.traffic = r.random() < .06
        self.due = None if self.traffic or r.random() > .008 else r.sample(range(1, 6), 5)
        self.bursts = [1, 1, 3]
        self.many = r.random() < .03        # so that dumps are of several datagrams
        self.six = r.random() < .3
        self.hosts = ['2001:db8::%d' % i for i in (1, 2, 3)] if self.six else ['10.0.0.%d' % i for i in (1, 2, 3)]
        self.family = 10 if self.six else 2
        self.policies, self.pk_policies, self.sas = [], [], []      # what was asked for, so that it can be asked about

    def some(self, chance):
        return self.r.random() < chance

    def pick(self, *values):
        return self.r.choice(values)

    def ends(self):
        return self.pick(*[(self.hosts[0], self.hosts[1])] * 6, (self.hosts[2], self.hosts[1]), (self.hosts[1], self.hosts[2]), (self.hosts[1], self.hosts[0]), (self.hosts[0], self.hosts[2]), ('::' if self.six else '0.0.0.0', self.hosts[1]))

    def steps(self):
        r = self.r
        doors = r.choice([self.NETLINK] * 3 + [self.PF_KEY] * 2 + [self.NETLINK + self.PF_KEY] * 2)
        if doors is not self.NETLINK:
            yield {'sock': 'pk', 'what': 'REGISTER', 'hex': X.pk('REGISTER', r.choice(['ESP', 'AH', 'X_IPCOMP'])).hex()}
        if self.traffic:
            yield from ({'cmd': command, 'wait_ms': 50} for command in self.WIRE)
            doors = doors + ['packet'] * (len(doors) // 3)
        for _ in range(r.randint(20, 60) if self.many else r.randint(4, 14)):
            yield from self.step(r.choice(['newsa', 'newsa', 'newpolicy', 'spdadd'] if self.many and self.some(.9) else doors))
        if self.due is not None:
            yield {'sleep_ms': 5600}
        if self.traffic:
            yield dict(self.COUNTERS)

    COUNTERS = {'cmd': ['sh', '-c', 'grep -v "[[:space:]]0$" /proc/net/xfrm_stat']}

    def step(self, name):
        self.sequence += 1
        if name == 'packet':
            packet = {'src': self.hosts[0], 'sport': 7777, 'dst': self.pick(*self.hosts[1:]), 'dport': self.pick(9, 80), 'n': self.pick(*self.bursts)}
            if self.some(.3):
                packet['mark'] = self.pick(1, 2, 0x101)
            yield {'udp': packet, 'wait_ms': 60}
            return
        made = getattr(self, name)()
        door = 'pk' if isinstance(made[0], str) and made[0] == 'pk' else None
        yield {'sock': 'pk', 'what': name, 'hex': made[1].hex()} if door else {'sock': 'nl' if self.some(.95) else 'nlx', 'what': name, 'hex': made.hex()}

    # netlink
    def nl(self, kind, body, *attributes, flags=5):
        attributes = [X.rta(t, d) for t, d in attributes]
        if self.some(.1):
            self.r.shuffle(attributes)
        return X.nl(kind, body, b''.join(attributes), flags=flags, seq=self.sequence)

    def mark(self, chance=.25):
        return [('MARK', struct.pack('<II', *self.pick((1, 0xff), (2, 0xff), (1, 0xffffffff), (0, 0), (0, 0xff), (0x101, 0xff))))] if self.some(chance) else []

    def if_id(self, chance=.2):
        return [('IF_ID', X.u32(self.pick(0, 1, 1, 2)))] if self.some(chance) else []

    def sometimes(self, chance, *names):
        return [(n, self.r.choice(MADE[n])) for n in names if self.some(chance)]

    def spi(self):
        return self.r.randint(0x1000, 0x2000) if self.many else self.pick(0x1000, 0x1000, 0x1001, 0x1002, 0x100)

    def algorithms(self, proto):
        key = lambda n: bytes(range(n))
        if proto == 50:
            return self.pick([('ALG_AEAD', X.algo('rfc4106(gcm(aes))', key(20), icv=self.pick(64, 96, 128)))],
                             [('ALG_AUTH_TRUNC', X.algo(self.pick('hmac(sha256)', 'sha256', 'hmac(sha1)'), key(32), trunc=self.pick(96, 128))), ('ALG_CRYPT', X.algo('cbc(aes)', key(16)))],
                             [('ALG_AUTH', X.algo('hmac(md5)', key(16))), ('ALG_CRYPT', X.algo('ecb(cipher_null)', b''))], [('ALG_CRYPT', X.algo('cbc(aes)', key(32)))],
                             [('ALG_AEAD', X.algo('rfc7539esp(chacha20,poly1305)', key(36), icv=128))])
        if proto == 51:
            return [('ALG_AUTH_TRUNC', X.algo('hmac(sha1)', key(20), trunc=self.pick(96, 160)))]
        return [('ALG_COMP', X.algo('deflate', b''))] if proto == 108 else []

    def selector(self):
        if self.some(.35):
            return X.enc('xfrm_selector')
        a, b = self.r.choice(self.hosts), self.r.choice(self.hosts)
        whole = 128 if self.six else 32
        port, proto = self.pick((0, 0), (0, 0), (0, 17), (80, 6), (0, 255))
        return X.enc('xfrm_selector', saddr=a, daddr=b, family=self.family, prefixlen_s=self.pick(whole, whole, 24, 0), prefixlen_d=self.pick(whole, whole, 24, 0), proto=proto, dport=port,
                     dport_mask=self.pick(0xffff, 0xff00) if port else 0, ifindex=self.pick(0, 0, 0, 0, 1))

    def limits(self):
        if self.due is not None:
            return {self.pick('soft_add_expires_seconds', 'hard_add_expires_seconds', 'hard_add_expires_seconds'): self.due.pop() for _ in self.due[:self.pick(0, 1, 1, 2)]}
        return {} if self.traffic or self.some(.6) else {k: self.r.choice(v) for k, v in VALUES.items() if k.startswith(('soft_', 'hard_')) and k in {f[0] for f in X.S['xfrm_lifetime_cfg']['f']}}

    def sa_info(self, proto=None, known=None):
        src, dst = self.ends()
        proto = proto if proto is not None else self.pick(50, 50, 50, 51, 108, 60 if self.six else 4)
        mode = self.pick(0, 1, 1, 1, 4) if proto in (50, 51, 108) else self.pick(1, 2)
        spi = 0 if proto in (4, 60) and self.some(.8) else self.spi() & (0xffff if proto == 108 else 0xffffffff)
        sa = known or {'src': src, 'dst': dst, 'proto': proto, 'spi': spi, 'mode': mode, 'reqid': self.pick(0, 1, 1, 2), 'mark': self.mark(), 'id': self.if_id()}
        flags = self.pick(*[0] * 8, *(1 << i for i in range(8)), 0x24, 0xff)
        return sa, X.enc('xfrm_usersa_info', sel=self.selector(), id={'daddr': sa['dst'], 'spi': sa['spi'], 'proto': sa['proto']}, saddr=sa['src'], lft=self.limits(), family=self.family, mode=sa['mode'],
                         seq=0 if self.traffic else self.pick(0, 0, 0, 7, 9), reqid=sa['reqid'], replay_window=self.pick(0, 0, 32, 32, 64, 33, 255), flags=flags)

    def newsa(self):
        known = self.r.choice(self.sas) if self.sas and self.some(.35) else None
        sa, info = self.sa_info(known=known)
        more = sa['mark'] + sa['id'] + self.sometimes(.06, 'ENCAP', 'COADDR', 'REPLAY_VAL', 'LTIME_VAL', 'REPLAY_THRESH', 'ETIMER_THRESH', 'MTIMER_THRESH', 'TFCPAD', 'SA_EXTRA_FLAGS', 'OFFLOAD_DEV',
                                                      'SET_MARK', 'SET_MARK_MASK', 'NAT_KEEPALIVE_INTERVAL', 'LASTUSED', 'SEC_CTX', 'SRCADDR', 'PROTO', 'KMADDRESS')
        more += self.sometimes(.12, 'REPLAY_ESN_VAL', 'SA_DIR')
        self.sas.append(sa)
        return self.nl(self.pick('NEWSA', 'UPDSA', 'UPDSA') if known else 'NEWSA', info, *self.algorithms(sa['proto']), *more)

    def sa_id(self):
        """One of those that were asked for, mostly, with its mark."""
        sa = self.r.choice(self.sas) if self.sas and self.some(.85) else {'dst': self.ends()[1], 'src': self.ends()[0], 'spi': self.spi(), 'proto': self.pick(50, 50, 51, 108), 'mark': []}
        self.last = sa
        return X.enc('xfrm_usersa_id', daddr=sa['dst'], spi=sa['spi'], family=self.family if self.some(.95) else self.pick(0, 2, 10), proto=sa['proto'])

    def its_mark(self):
        return self.last['mark'] if self.some(.85) else self.mark()

    def source(self):
        return [('SRCADDR', X.addr(self.last['src'] if self.some(.8) else self.ends()[0]))] if self.some(.2) else []

    def getsa(self):
        return self.nl('GETSA', self.sa_id(), *self.its_mark(), *self.source())

    def delsa(self):
        return self.nl('DELSA', self.sa_id(), *self.its_mark(), *self.source())

    def getsa_dump(self):
        return self.nl('GETSA', X.enc('xfrm_usersa_id'), *self.sometimes(.4, 'PROTO', 'ADDRESS_FILTER'), flags=0x301)

    def allocspi(self):
        sa, info = self.sa_info(self.pick(50, 50, 51, 108))
        low = self.spi()
        self.sas.append(dict(sa, spi=low))
        return self.nl('ALLOCSPI', X.enc('xfrm_userspi_info', info=info, min=low, max=low + self.pick(0, 0, 0, 0, 0x1000)), *sa['mark'], *sa['id'], *self.sometimes(.1, 'SA_DIR', 'SRCADDR'))

    def flushsa(self):
        return self.nl('FLUSHSA', X.enc('xfrm_usersa_flush', proto=self.pick(0, 50, 51, 108, 255, 41, 7)))

    def template(self):
        src, dst = self.ends()
        mode = self.pick(0, 0, *[1] * 5, 4, 4, 2)
        return X.enc('xfrm_user_tmpl', id={'daddr': dst, 'spi': self.pick(0, 0, 0x1000), 'proto': self.pick(*[50] * 10, *[51] * 4, 108, 108, 43, 60, 255)}, family=self.pick(*[self.family] * 12, 0, 2, 10), saddr=src,
                     reqid=self.pick(0, 1, 1, 2), mode=mode, share=self.pick(0, 0, 1, 3), optional=self.pick(0, 0, 0, 1), aalgos=0xffffffff, ealgos=0xffffffff, calgos=0xffffffff)

    def policy_info(self, chance=.4):
        """One that was asked for, or another; with what else belongs to it."""
        if self.policies and self.some(chance):
            policy = self.r.choice(self.policies)
        else:
            direction = self.pick(0, 1, 1, 1, 2)
            policy = {'sel': self.selector(), 'dir': direction, 'index': self.pick(*[0] * 3, 0x100000 + 8 * self.sequence | direction), 'more': self.mark() + self.if_id() + self.policy_type(),
                      'templates': [self.template() for _ in range(self.pick(0, *[1] * 8, 2, 2, 3, 6, 7))]}
            self.policies.append(policy)
        return policy, X.enc('xfrm_userpolicy_info', sel=policy['sel'], lft=self.limits(), priority=self.pick(0, 100, 100, 200), index=policy['index'] if self.some(.5) else 0, dir=policy['dir'],
                             action=self.pick(0, 0, 0, 1), flags=self.pick(0, 0, 0, 1, 2, 4, 8, 0xff), share=self.pick(0, 0, 0, 1))

    def policy_type(self):
        return [('POLICY_TYPE', bytes([self.pick(0, 0, 0, 1, 2), 0, 0, 0, 0, 0]))] if self.some(.25) else []

    def newpolicy(self):
        policy, info = self.policy_info()
        templates = b''.join(policy['templates'] if self.some(.8) else [self.template()])
        attributes = [('TMPL', templates)] if templates or self.some(.1) else []
        return self.nl(self.pick('NEWPOLICY', 'NEWPOLICY', 'UPDPOLICY'), info, *attributes, *policy['more'], *self.sometimes(.04, 'SEC_CTX', 'OFFLOAD_DEV', 'SA_DIR'))

    def policy_id(self, indexed=.3):
        policy = self.r.choice(self.policies[-3:]) if self.policies and self.some(.9) else {'sel': self.selector(), 'dir': self.pick(0, 1, 2, 3), 'index': 0x200001, 'more': [], 'templates': []}
        more = policy['more'] if self.some(.85) else self.mark() + self.if_id() + self.policy_type()
        return policy, more, X.enc('xfrm_userpolicy_id', sel=policy['sel'], index=policy['index'] if self.some(indexed) else 0, dir=policy['dir'])

    def getpolicy(self):
        _, more, body = self.policy_id()
        return self.nl('GETPOLICY', body, *more)

    def delpolicy(self):
        _, more, body = self.policy_id()
        return self.nl('DELPOLICY', body, *more, *self.sometimes(.05, 'SEC_CTX'))

    def getpolicy_dump(self):
        return self.nl('GETPOLICY', X.enc('xfrm_userpolicy_id'), *self.policy_type(), flags=0x301)

    def flushpolicy(self):
        return self.nl('FLUSHPOLICY', b'', *self.policy_type())

    def event(self, flags):
        return X.enc('xfrm_aevent_id', sa_id=self.sa_id(), saddr=self.ends()[0], flags=flags, reqid=self.pick(0, 1))

    def newae(self):
        return self.nl('NEWAE', self.event(self.pick(0, 1, 7)), *self.its_mark(), *self.sometimes(.35, 'REPLAY_VAL', 'REPLAY_ESN_VAL', 'LTIME_VAL', 'ETIMER_THRESH', 'REPLAY_THRESH'), flags=self.pick(5, 0x105, 0x105, 0x105))

    def getae(self):
        return self.nl('GETAE', self.event(self.pick(0, 1, 2, 4, 7, 0x20, 0x40, 0xff)), *self.its_mark())

    def expire(self):
        sa, info = self.sa_info(known=self.r.choice(self.sas) if self.sas and self.some(.85) else None)
        return self.nl('EXPIRE', X.enc('xfrm_user_expire', state=info, hard=self.pick(0, 0, 1, 2)), *sa['mark'])

    def polexpire(self):
        policy, info = self.policy_info(.9)
        return self.nl('POLEXPIRE', X.enc('xfrm_user_polexpire', pol=info, hard=self.pick(0, 0, 1, 2)), *policy['more'])

    def migrate(self):
        policy, more, body = self.policy_id(.05)
        old = [self.entry_of(t) for t in policy['templates'] if self.some(.8)] if self.some(.85) else []
        old += [dict(saddr=sa['src'], daddr=sa['dst'], proto=sa['proto'], mode=sa['mode'], reqid=sa['reqid'], family=self.family) for sa in self.sas[-2:] if self.some(.3)]
        entries = b''.join(map(self.migrate_entry, old or [None] * self.pick(0, 1, 1, 1, 2, 6, 7)))
        return self.nl('MIGRATE', body, *([('MIGRATE', entries)] if entries or self.some(.1) else []), *more, *self.sometimes(.12, 'KMADDRESS', 'ENCAP', 'OFFLOAD_DEV'))

    @staticmethod
    def entry_of(template):
        t = X.dec('xfrm_user_tmpl', template)
        return dict(saddr=template[28:44], daddr=template[:16], proto=t['id']['proto'], mode=t['mode'], reqid=t['reqid'], family=t['family'])

    def migrate_entry(self, old):
        a, b = self.ends()
        c, d = self.ends()
        old = old or dict(saddr=a, daddr=b, proto=self.pick(50, 50, 50, 51, 108, 255, 4), mode=self.pick(0, 1, 1, 1, 4), reqid=self.pick(0, 1, 1, 2), family=self.family)
        return X.enc('xfrm_user_migrate', old_saddr=old['saddr'], old_daddr=old['daddr'], new_saddr=c, new_daddr=d, proto=old['proto'], mode=old['mode'], reqid=old['reqid'], old_family=old['family'],
                     new_family=self.family if self.some(.95) else self.pick(2, 10, 0))

    def acquire(self):
        src, dst = self.ends()
        return self.nl('ACQUIRE', X.enc('xfrm_user_acquire', id={'daddr': dst, 'spi': 0, 'proto': self.pick(50, 51, 108, 6)}, saddr=src, sel=self.selector(), policy=self.policy_info()[1], aalgos=1, ealgos=1, calgos=1, seq=self.pick(0, 5)),
                       *([('TMPL', self.template())] if self.some(.8) else []), *self.mark(), *self.policy_type())

    def default(self):
        return self.nl('SETDEFAULT', bytes(self.pick(0, 1, 2, 3) for _ in range(3))) if self.some(.5) else self.nl('GETDEFAULT', bytes(3))

    def info(self):
        if self.some(.3):
            return self.nl('NEWSPDINFO', X.u32(0), (self.pick(3, 4), bytes([self.pick(0, 16, 32, 33, 128), self.pick(0, 16, 32, 33, 128)])))
        return self.nl(self.pick('GETSPDINFO', 'GETSADINFO'), X.u32(0xffffffff))

    def other(self):
        return self.nl(self.pick('MAPPING', 'REPORT', 'NEWSADINFO'), bytes(72))

    # PF_KEY
    def pk(self, kind, *extensions, satype=None):
        extensions = list(extensions)
        if self.some(.1):
            self.r.shuffle(extensions)
        return 'pk', X.pk(kind, satype if satype is not None else self.pick('ESP', 'ESP', 'ESP', 'AH', 'X_IPCOMP'), b''.join(extensions), seq=self.pick(self.sequence, self.sequence, 7, 0))

    def pair(self, sa=None, proto=0):
        a, b = (sa['src'], sa['dst']) if sa else self.ends()
        return [X.x_addr('ADDR_SRC', a, 0, proto), X.x_addr('ADDR_DST', b, 0, proto)]

    def maybe(self, chance, *extensions):
        return [e for e in extensions if self.some(chance)]

    def add(self):
        satype = self.pick('ESP', 'ESP', 'ESP', 'AH', 'X_IPCOMP')
        auth, encrypt, keys = {'ESP': self.pick((3, 12, (20, 16)), (3, 12, (20, 32)), (2, 11, (16, 0)), (5, 12, (32, 16)), (0, 20, (0, 20)), (9, 3, (16, 24))), 'AH': (3, 0, (20, 0)), 'X_IPCOMP': (0, 2, (0, 0))}[satype]
        if self.some(.1):
            auth, encrypt = self.pick(0, 3, 5, 251), self.pick(0, 2, 12, 20)
        keys = [X.x_key(name, bytes(range(1, size + 1))) for name, size in zip(('KEY_AUTH', 'KEY_ENC'), keys) if size or (encrypt == 11 and name == 'KEY_ENC')]
        number = {'ESP': 50, 'AH': 51, 'X_IPCOMP': 108}[satype]
        known = [sa for sa in self.sas if sa['proto'] == number and not sa['mark']]
        if known and self.some(.35):
            kind, sa = self.pick('ADD', 'UPDATE', 'UPDATE'), self.r.choice(known)
        else:
            src, dst = self.ends()
            kind, sa = 'ADD', {'src': src, 'dst': dst, 'proto': number, 'spi': self.spi(), 'mode': self.pick(0, 0, 1, 1, 4), 'reqid': self.pick(0, 1, 2), 'mark': [], 'id': []}
            self.sas.append(sa)
        mode = {0: 1, 1: 2, 4: 3}[sa['mode']]
        return self.pk(kind, X.x_sa(sa['spi'], self.pick(0, 32, 33, 255), self.pick(1, 1, 1, 0, 2, 3), auth, encrypt, self.pick(0, 0, 1, 2, 4, 0x20000000, 0x40000000, 0x80000000)), *self.pair(sa, self.pick(0, 0, 17)), *keys,
                       *self.maybe(.8, X.x_sa2(mode if self.some(.8) else self.pick(0, 1, 2, 3, 4), self.pick(0, 7), sa['reqid'])), *self.maybe(.15, X.x_lt('LT_HARD', 1, 5000, 1000, 1000), X.x_lt('LT_SOFT', 0, 100, 900, 0),
                       X.x_addr('ADDR_PROXY', self.hosts[2], 0, self.pick(0, 6), 24), X.x_natt(2, 4500, self.pick(4500, 0), self.pick(None, self.hosts[2])), X.ext('SEC_CTX', struct.pack('<BBH', 1, 1, 4) + b'abc\0'),
                       X.ext('IDENT_SRC', struct.pack('<HHQ', 2, 0, 0) + b'a.example\0'), X.ext('KMADDRESS', bytes(4) + X.sockaddr(self.hosts[0]) + X.sockaddr(self.hosts[1]))), satype=satype)

    def get(self, kind='GET'):
        sa = self.r.choice(self.sas) if self.sas and self.some(.85) else None
        return self.pk(kind, X.x_sa(sa['spi'] if sa else self.spi()), *self.pair(sa), satype={50: 'ESP', 51: 'AH', 108: 'X_IPCOMP'}.get(sa['proto'] if sa else 50, 'UNSPEC'))

    def delete(self):
        return self.get('DELETE')

    def getspi(self):
        low = self.spi()
        return self.pk('GETSPI', *self.pair(), *self.maybe(.9, X.x_range(low, low)), *self.maybe(.6, X.x_sa2(self.pick(0, 1, 2, 3), 0, self.pick(0, 1))))

    def flush(self):
        return self.pk('FLUSH', satype=self.pick('UNSPEC', 'ESP', 'AH', 'X_IPCOMP', 'MIP'))

    def dump(self):
        a, b = self.ends()
        return self.pk('DUMP', *self.maybe(.2, X.ext('X_FILTER', X.addr(a) + X.addr(b) + struct.pack('<HBB', self.family, self.pick(0, 24, 32, 33), self.pick(0, 32)))), satype=self.pick('UNSPEC', 'UNSPEC', 'ESP', 'AH'))

    def register(self):
        return self.pk('REGISTER', satype=self.pick('ESP', 'AH', 'X_IPCOMP', 'UNSPEC', 'MIP'))

    def request(self):
        a, b = self.ends()
        mode = self.pick(1, 2, 2)
        return X.ipsecreq(self.pick(50, 50, 51, 108), mode, self.pick(0, 1, 2, 3, 3), self.pick(0, 0, 1, 5, 0x4001), a if mode == 2 else None, b if mode == 2 else None)

    def spd(self, requests=True):
        if self.pk_policies and self.some(.5):
            ends, direction = self.r.choice(self.pk_policies)
        else:
            (a, b), proto, prefix, direction = self.ends(), self.pick(255, 255, 0, 17), self.pick(None, None, 24), self.pick(1, 2, 2, 2, 3)
            ends = [X.x_addr('ADDR_SRC', a, 0, proto, prefix), X.x_addr('ADDR_DST', b, 0, proto, prefix)]
            self.pk_policies.append((ends, direction))
            whole = prefix or (128 if self.six else 32)    # the same for netlink
            selector = X.enc('xfrm_selector', saddr=a, daddr=b, family=self.family, prefixlen_s=whole, prefixlen_d=whole, proto=0 if proto == 255 else proto)
            self.policies.append({'sel': selector, 'dir': direction - 1, 'index': 0x200001, 'more': [], 'templates': []})
        body = b''.join(self.request() for _ in range(self.pick(0, 1, 1, 2, 6, 7))) if requests else b''
        return [*ends, X.x_policy(self.pick(2, 2, 2, 0, 1), direction, 0, self.pick(0, 0, 100), body)]

    def spdadd(self):
        return self.pk(self.pick('X_SPDADD', 'X_SPDADD', 'X_SPDUPDATE'), *self.spd(), *self.maybe(.15, X.x_lt('LT_HARD', 1, 5000, 1000, 1000), X.x_lt('LT_SOFT', 0, 100, 900, 0)), satype='UNSPEC')

    def spddelete(self):
        return self.pk('X_SPDDELETE', *self.spd(False), satype='UNSPEC')

    def spdget(self):
        return self.pk(self.pick('X_SPDGET', 'X_SPDDELETE2'), X.x_policy(self.pick(0, 2), self.pick(1, 2, 3), self.r.choice(self.policies)['index'] if self.policies and self.some(.8) else 0x200001), satype='UNSPEC')

    def spddump(self):
        return self.pk('X_SPDDUMP', satype='UNSPEC')

    def spdflush(self):
        return self.pk('X_SPDFLUSH', satype='UNSPEC')

    def pk_migrate(self):
        """Of a policy of either family of sockets, if it has templates."""
        policies = [p for p in self.policies if p['templates']]
        if policies and self.some(.8):
            policy = self.r.choice(policies)
            sel, direction = X.dec('xfrm_selector', policy['sel']), policy['dir'] + 1
            ends = [X.x_addr(t, socket.inet_ntop(socket.AF_INET6, policy['sel'][i:i + 16]) if self.six else socket.inet_ntoa(policy['sel'][i:i + 4]), 0, sel['proto'] or 255, sel[p])
                    for t, i, p in (('ADDR_SRC', 16, 'prefixlen_s'), ('ADDR_DST', 0, 'prefixlen_d'))]
            requests = b''
            for t in map(self.entry_of, policy['templates'][:3]):
                old, new = [socket.inet_ntop(socket.AF_INET6, a[:16]) if self.six else socket.inet_ntoa(a[:4]) for a in (t['saddr'], t['daddr'])], self.ends()
                for c, d in (old, new):
                    requests += X.ipsecreq(t['proto'], {0: 1, 1: 2, 4: 3}.get(t['mode'], 0), 3, t['reqid'], c, d)
        else:
            ends, direction, requests = self.spd(False)[:2], self.pick(1, 2), b''.join(self.request() for _ in range(self.pick(1, 2, 2, 2, 4)))
        return self.pk('X_MIGRATE', *ends, X.x_policy(2, direction, 0, 0, requests), *self.maybe(.3, X.ext('KMADDRESS', bytes(4) + X.sockaddr(self.hosts[0]) + X.sockaddr(self.hosts[1]))), satype='UNSPEC')

    def promisc(self):
        return self.pk('X_PROMISC', satype=self.pick(0, 1, 2))

    def pk_acquire(self):
        return self.pk('ACQUIRE', *self.maybe(.5, *self.pair()))

    def pk_other(self):
        if self.some(.4):
            return self.pk_acquire()
        return self.pk(self.pick('EXPIRE', 'X_PCHANGE', 'X_SPDSETIDX', 'X_SPDACQUIRE', 'X_SPDEXPIRE', 'X_NAT_T_NEW_MAPPING'), *self.maybe(.5, *self.pair(), X.x_sa(self.spi())))


class Themes(Composer):
    """Scenarios about one thing, in which most requests succeed: policies of sockets, SAs that move, larval ones, event thresholds, dumps that are
    read in parts while the database changes, several sockets and groups."""

    def steps(self):
        self.many = False
        if THEMES:
            yield from getattr(self, self.r.choice(THEMES))()
            return
        yield from self.r.choice([self.of_sockets, self.migrations, self.larval, self.larval, self.events, self.parts, self.listeners, self.policies_by_key, self.directions, self.long_keys, self.each, *[self.packets, self.alike, self.whose] * self.some(.4)])()

    def send(self, *names, sock=None, flags=None):
        for name in names:
            for step in self.step(name):
                yield dict(step, sock=sock) if sock and step['sock'].startswith('nl') else step

    def asks(self):
        yield from self.send(self.pick('getsa_dump', 'getpolicy_dump', 'info', 'getsa', 'getpolicy'))

    # Policies of sockets
    def socket_value(self):
        policy, info = self.policy_info(.3)
        info = bytearray(info)
        if self.some(.9):
            info[56 + 64 + 32 + 8] = self.pick(0, 1)        # the direction
        templates = b''.join(policy['templates'] if self.some(.7) else [self.template() for _ in range(self.pick(0, 1, 1, 2))])
        value = bytes(info) + templates
        return value[:self.r.randrange(len(value))] if self.some(.05) else value + bytes(self.pick(1, 8, 63, 64, 4096)) if self.some(.05) else value

    def of_sockets(self):
        levels = {2: (0, 17), 10: (41, 35)}
        names = ['u1', 'u2', 'u3']
        families = [self.pick(self.family, self.family, self.family, 2, 10) for _ in names]
        for name, family in zip(names, families):
            yield {'socket': name, 'family': family}
        closed = set()
        for _ in range(self.r.randint(4, 12)):
            i = self.r.randrange(3)
            if self.some(.5) and names[i] not in closed:
                option = list(levels[families[i]] if self.some(.9) else self.pick((0, 17), (0, 16), (41, 35), (41, 34)) if families[i] == 10 else (0, self.pick(16, 17)))
                if option[1] in (16, 34):
                    option[1] += 1      # PF_KEY's form is another matter
                yield {'on': names[i], 'option': option, 'hex': self.socket_value().hex() if self.some(.9) else '', 'get': self.some(.05)}
            elif self.some(.15) and names[i] not in closed:
                closed.add(names[i])
                yield {'gone': names[i]}
            else:
                yield from self.send(self.pick('getpolicy_dump', 'getpolicy_dump', 'info', 'newpolicy', 'flushpolicy', 'polexpire', 'delpolicy', 'getpolicy', 'migrate'))
            if self.some(.4):
                yield from self.send('getpolicy_dump')

    # SAs that move with their policies
    def pair_of(self):
        """A policy and an SA for each of its templates."""
        src, dst = self.hosts[0], self.hosts[1]
        entries = [(self.pick(50, 50, 50, 51, 108), self.pick(0, 1, 1, 4), self.pick(0, 1, 1, 2)) for _ in range(self.pick(1, 1, 1, 2, 3))]
        mark, if_id = self.mark(.2), self.if_id(.2)
        for number, (proto, mode, reqid) in enumerate(entries):
            sa = {'src': src, 'dst': dst, 'proto': proto, 'spi': 0x1000 + number, 'mode': mode, 'reqid': reqid, 'mark': mark if self.some(.8) else [], 'id': if_id if self.some(.9) else self.if_id(1)}
            _, info = self.sa_info(known=sa)
            more = self.sometimes(.15, 'ENCAP', 'COADDR', 'LTIME_VAL', 'REPLAY_ESN_VAL', 'REPLAY_VAL', 'SET_MARK', 'TFCPAD', 'SA_EXTRA_FLAGS', 'SA_DIR', 'MTIMER_THRESH', 'NAT_KEEPALIVE_INTERVAL', 'REPLAY_THRESH')
            self.sas.append(sa)
            if self.some(.9):
                yield self.made('newsa', self.nl('NEWSA', info, *self.algorithms(proto), *sa['mark'], *sa['id'], *more))
        templates = [X.enc('xfrm_user_tmpl', id={'daddr': dst, 'spi': 0, 'proto': p}, family=self.family, saddr=src, reqid=q, mode=m, aalgos=0xffffffff, ealgos=0xffffffff, calgos=0xffffffff) for p, m, q in entries]
        selector = self.selector()
        for direction in self.r.sample([0, 1, 2], self.r.randint(1, 3)):
            policy = {'sel': selector, 'dir': direction, 'index': 0, 'more': mark + if_id + self.policy_type(), 'templates': templates}
            self.policies.append(policy)
            yield self.made('newpolicy', self.nl('NEWPOLICY', X.enc('xfrm_userpolicy_info', sel=selector, lft=self.limits(), priority=self.pick(0, 100), dir=direction), ('TMPL', b''.join(templates)), *policy['more']))
        self.entries = [dict(saddr=src, daddr=dst, proto=p, mode=m, reqid=q, family=self.family) for p, m, q in entries]

    def made(self, what, data, sock=None):
        self.sequence += 1
        return {'sock': sock or ('nl' if self.some(.9) else 'nlx'), 'what': what, 'hex': data.hex()}

    def moved(self, old):
        six = self.six if self.some(.8) else not self.six
        c, d = (('2001:db8::%d' if six else '10.0.0.%d') % self.pick(1, 2, 3, 4) for _ in range(2))
        reverse = self.some(.1)
        return X.enc('xfrm_user_migrate', old_saddr=old['daddr' if reverse else 'saddr'], old_daddr=old['saddr' if reverse else 'daddr'], new_saddr=c, new_daddr=d, proto=old['proto'] if self.some(.95) else 255, mode=old['mode'] if self.some(.95) else 2,
                     reqid=old['reqid'] if self.some(.95) else self.pick(0, 7), old_family=old['family'] if self.some(.97) else self.pick(0, 2, 10), new_family=10 if six else 2, reserved=self.pick(0, 0, 0, 1))

    def migrations(self):
        yield from self.pair_of()
        if self.some(.3):
            yield from self.pair_of()
        for _ in range(self.r.randint(1, 4)):
            policy = self.r.choice(self.policies)
            entries = self.entries if self.some(.8) else self.entries * 2
            self.r.shuffle(entries) if self.some(.2) else None
            data = b''.join(map(self.moved, entries))
            body = X.enc('xfrm_userpolicy_id', sel=policy['sel'], dir=policy['dir'] if self.some(.9) else self.pick(0, 1, 2, 3, 4, 7), index=self.pick(0, 0, 0, 0x100001))
            yield self.made('migrate', self.nl('MIGRATE', body, ('MIGRATE', data), *(policy['more'] if self.some(.9) else []), *self.sometimes(.2, 'KMADDRESS', 'ENCAP'), *self.sometimes(.03, 'OFFLOAD_DEV', 'SA_DIR')))
            if self.some(.5):
                moved = [X.dec('xfrm_user_migrate', data[i:i + 76]) for i in range(0, len(data), 76)]
                self.entries = [dict(saddr=m['new_saddr'], daddr=m['new_daddr'], proto=m['proto'], mode=m['mode'], reqid=m['reqid'], family=m['new_family']) for m in moved]
                for e in self.entries:
                    e['saddr'], e['daddr'] = (a if a != '0' else '0.0.0.0' for a in (e['saddr'], e['daddr']))
            if self.some(.5):
                yield from self.send(self.pick('getsa_dump', 'getpolicy_dump', 'getpolicy', 'info', 'polexpire', 'expire', 'newae', 'getae', 'delpolicy', 'delsa'))

    # Packets through SAs: what is counted, which limits are met, who is asked
    def packets(self):
        self.traffic, self.six = True, self.six and self.some(.5)
        yield from ({'cmd': command, 'wait_ms': 50} for command in self.WIRE)
        self.selector = lambda: X.enc('xfrm_selector', saddr=self.hosts[0], daddr=self.hosts[1], family=self.family, prefixlen_s=128 if self.six else 32, prefixlen_d=self.pick(*[128 if self.six else 32] * 3, 24), proto=self.pick(0, 0, 17))
        self.limits = lambda: {} if self.some(.5) else dict(UNLIMITED if self.some(.7) else {}, **{self.pick('soft_packet_limit', 'hard_packet_limit', 'soft_byte_limit', 'hard_byte_limit'): self.pick(1, 2, 3, 100, 300)})
        steps = list(self.pair_of())
        for step in steps:
            yield step
        for _ in range(self.r.randint(2, 7)):
            if self.some(.7):
                yield from self.step('packet')
            else:
                yield from self.send(self.pick('getsa_dump', 'getpolicy_dump', 'delsa', 'getsa', 'newae', 'getae', 'expire', 'newpolicy', 'newsa', 'migrate', 'flushsa', 'default'))
        yield from self.send('getsa_dump')
        yield dict(self.COUNTERS)

    def wired(self):
        self.traffic, self.six = True, self.six and self.some(.5)
        yield from ({'cmd': command, 'wait_ms': 50} for command in self.WIRE)

    # Several SAs that would do: which one a packet takes
    def alike(self):
        yield from self.wired()
        src, dst = self.hosts[:2]
        proto, mode, reqid, mark, if_id = self.pick(50, 50, 51), self.pick(0, 1, 1), self.pick(0, 1), self.mark(.2), self.if_id(.1)
        whole = 128 if self.six else 32
        fits = dict(saddr=src, daddr=dst, family=self.family, prefixlen_s=whole, prefixlen_d=whole)
        selectors = [X.enc('xfrm_selector'), X.enc('xfrm_selector', **fits), X.enc('xfrm_selector', **dict(fits, prefixlen_d=24, proto=17)), X.enc('xfrm_selector', **dict(fits, proto=17, dport=80, dport_mask=0xffff)), X.enc('xfrm_selector', **dict(fits, proto=6))]
        template = lambda **more: X.enc('xfrm_user_tmpl', **dict(dict(id={'daddr': dst, 'spi': 0, 'proto': proto}, family=self.family, saddr=src, reqid=reqid, mode=mode, aalgos=0xffffffff, ealgos=0xffffffff, calgos=0xffffffff), **more))
        templates = [template(**self.pick(*[{}] * 8, {'id': {'daddr': dst, 'spi': self.pick(0x1000, 0x1001, 0x1fff), 'proto': proto}}, {'reqid': self.pick(0, 1, 2)}, {'saddr': '0', 'optional': 1 - mode}))]
        if self.some(.2):
            templates.append(template(mode=self.pick(0, 0, 1), id={'daddr': dst, 'spi': 0, 'proto': self.pick(51, 50, 108)}))
        if self.some(.1):
            self.r.shuffle(templates)
        policy = {'sel': X.enc('xfrm_selector', **dict(fits, proto=self.pick(0, 17))), 'dir': 1, 'index': 0, 'more': mark + if_id, 'templates': templates}
        self.policies.append(policy)
        yield self.made('newpolicy', self.nl('NEWPOLICY', X.enc('xfrm_userpolicy_info', sel=policy['sel'], lft={}, dir=1, flags=self.pick(0, 0, 1, 2)), ('TMPL', b''.join(templates)), *policy['more']))
        for number in range(self.r.randint(2, 5)):
            sa = {'src': src if self.some(.9) else '::' if self.six else '0.0.0.0', 'dst': dst, 'proto': self.pick(*[proto] * 9, 51, 108), 'spi': 0x1000 + number, 'mode': self.pick(*[mode] * 9, 0, 1), 'reqid': self.pick(*[reqid] * 6, 0, 2),
                  'mark': mark if self.some(.85) else self.mark(1), 'id': if_id if self.some(.9) else self.if_id(1)}
            limits = {} if self.some(.5) else dict(UNLIMITED, **{self.pick('soft_packet_limit', 'soft_packet_limit', 'hard_packet_limit', 'soft_byte_limit'): self.pick(1, 1, 2, 3)})
            if limits.get('hard_packet_limit', 99) < 99:
                self.bursts = [1]       # whether the timer that deletes the SA runs between two packets is chance
            info = X.enc('xfrm_usersa_info', sel=self.r.choice(selectors), id={'daddr': dst, 'spi': sa['spi'], 'proto': sa['proto']}, saddr=sa['src'], lft=limits, family=self.family, mode=sa['mode'], reqid=sa['reqid'], flags=self.pick(0, 0, 0, 8, 0x20))
            more = [('LTIME_VAL', X.enc('xfrm_lifetime_cur', bytes=0, packets=0, add_time=1000 + self.pick(0, 0, 1, 2, 3), use_time=0))] if self.some(.6) else []
            more += [('SA_DIR', bytes([self.pick(2, 2, 2, 1)]))] if self.some(.25) else []
            self.sas.append(sa)
            yield self.made('newsa', self.nl('NEWSA', info, *self.algorithms(sa['proto']), *sa['mark'], *sa['id'], *more))
        for _ in range(self.r.randint(3, 8)):
            if self.some(.75):
                yield from self.step('packet')
            else:
                yield from self.send(self.pick('getsa_dump', 'delsa', 'getsa', 'expire', 'newae', 'allocspi', 'getpolicy_dump'))
        yield from self.send('getsa_dump')
        yield dict(self.COUNTERS)

    # Several policies that would do, thresholds, defaults, marks: which one a packet meets, and whom it makes ask
    def whose(self):
        yield from self.wired()
        if self.some(.4):
            yield from self.send('info', 'info')
        if self.some(.3):
            yield self.made('default', self.nl('SETDEFAULT', bytes(self.pick(0, 1, 2, 2) for _ in range(3))))
        whole = 128 if self.six else 32
        prefixes = [whole, whole, whole - 1, 24, 16, 0]
        for number in range(self.r.randint(2, 6)):
            sel = X.enc('xfrm_selector', saddr=self.pick(*self.hosts), daddr=self.r.choice(self.hosts), family=self.family, prefixlen_s=self.r.choice(prefixes), prefixlen_d=self.r.choice(prefixes), proto=self.pick(0, 0, 17, 6),
                        **self.pick({}, {}, {'dport': 80, 'dport_mask': self.pick(0xffff, 0xff00)}))
            policy = {'sel': sel, 'dir': self.pick(1, 1, 1, 1, 0, 2), 'index': 0, 'more': self.mark(.4) + self.if_id(.05) + self.policy_type(), 'templates': []}
            for _ in range(self.pick(0, 1, 1, 1, 2, 3)):
                mode = self.pick(0, 1, 1, 4)
                policy['templates'].append(X.enc('xfrm_user_tmpl', id={'daddr': self.hosts[self.pick(1, 1, 2)] if mode else '0', 'spi': self.pick(0, 0, 0, 0x1000), 'proto': self.pick(50, 50, 51, 108)}, family=self.family, saddr=self.pick(self.hosts[0], self.hosts[0], '0') if mode else '0',
                                                 reqid=number, mode=mode, optional=self.pick(0, 0, 1) if mode == 0 else 0, aalgos=0xffffffff, ealgos=0xffffffff, calgos=0xffffffff))
            self.policies.append(policy)
            info = X.enc('xfrm_userpolicy_info', sel=sel, lft={}, priority=self.pick(0, 100, 100, 200), index=0, dir=policy['dir'], action=self.pick(0, 0, 0, 1), flags=self.pick(0, 0, 1, 2, 4))
            if info[-6] & 4:
                self.bursts = [1]       # a CPU's own SA is asked for a moment after the packet
            yield self.made('newpolicy', self.nl('NEWPOLICY', info, *([('TMPL', b''.join(policy['templates']))] if policy['templates'] else []), *policy['more']))
        for _ in range(self.r.randint(4, 9)):
            if self.some(.6):
                yield from self.step('packet')
            elif self.some(.5):
                template = self.r.choice([t for p in self.policies for t in p['templates']] or [self.template()])
                e = self.entry_of(template)
                sa = {'src': self.hosts[0], 'dst': self.hosts[self.pick(1, 1, 2)], 'proto': e['proto'], 'spi': 0x1000 + len(self.sas), 'mode': e['mode'], 'reqid': e['reqid'], 'mark': self.mark(.1), 'id': self.if_id(.05)}
                _, info = self.sa_info(known=sa)
                info = X.enc('xfrm_selector') + info[56:56 + 24 + 16] + b'\xff' * 32 + bytes(32) + info[56 + 24 + 16 + 64:]
                self.sas.append(sa)
                yield self.made('newsa', self.nl('NEWSA', info, *self.algorithms(sa['proto']), *sa['mark'], *sa['id']))
            else:
                yield from self.send(self.pick('getsa_dump', 'getpolicy_dump', 'delpolicy', 'newpolicy', 'info', 'default', 'polexpire', 'flushsa', 'delsa'))
        yield from self.send('getsa_dump', 'getpolicy_dump')
        yield dict(self.COUNTERS)

    # Each message with each attribute, well made, wherever it belongs or not, and with each flag
    def each(self):
        yield from self.send('newsa', 'newsa', 'newpolicy', 'newpolicy')
        for _ in range(self.r.randint(8, 20)):
            step = dict(next(iter(self.step(self.r.choice(self.NETLINK)))))
            message = parse(step)
            if message is not None and not message.spi_info:
                for _ in range(self.pick(1, 1, 2, 3)):
                    name = self.r.choice(list(MADE))
                    message.parts.insert(self.r.randint(0, len(message.parts)), [X.A[name], bytearray(self.r.choice(MADE[name]))])
                if self.some(.4):
                    message.flags ^= self.pick(4, 8, 0x100, 0x200, 0x300, 0x400, 0x800, 0x10, 2)
                step['hex'] = message.bytes().hex()
            yield step
        yield from self.send('getsa_dump', 'getpolicy_dump')

    # SAs and policies of a gateway or host, for packets that this side makes or takes itself
    INNER = {2: ('192.168.1.1', '192.168.2.1'), 10: ('fd00:1::1', 'fd00:2::1')}
    FLAGS = {'noecn': 1, 'decap-dscp': 2, 'nopmtudisc': 4, 'wildrecv': 8, 'icmp': 16, 'af-unspec': 32, 'align4': 64}

    def cabled(self):
        self.traffic, self.prefixes, self.hops = True, [128, 16, 0], (64, 1, 255)
        outer = {2: '10.0.0.%d', 10: '2001:db8::%d'}
        self.at = {family: [name % i for i in (1, 2, 3)] for family, name in outer.items()}
        lines = [' '.join(c[1:]) for c in self.WIRE] + ['neigh add %s lladdr 02:00:00:00:00:02 dev v0' % self.at[f][i] for f in (2, 10) for i in (1, 2)]
        lines += ['link set lo up', 'addr add 192.168.2.1/32 dev lo', 'addr add fd00:2::1/128 dev lo nodad', 'route add 192.168.1.0/24 via 10.0.0.2 dev v0', 'route add fd00:1::/64 via 2001:db8::2 dev v0']
        yield self.ip_batch(lines)

    @staticmethod
    def ip_batch(lines, behind=''):
        return {'cmd': ['sh', '-c', "printf '%s\\n' " + ' '.join("'%s'" % line for line in lines) + ' | ip -batch -' + behind], 'wait_ms': 100}

    def chain(self, outward):
        """One to three SAs, the one of the inner packet first, as templates are ordered. An SA's `inner` is the family within."""
        self.outer = 10 if self.some(.3) else 2
        peer, here = self.at[self.outer][1], self.at[self.outer][0]
        src, dst = (here, peer) if outward else (peer, here)
        kinds = self.pick(*[['esp']] * 10, ['ah'], ['ah'], ['esp', 'ah'], ['comp', 'esp'], ['esp', 'esp'], ['comp', 'esp', 'ah'])
        tunnel = self.pick(0, 1, 1, 1, 4) if self.some(.9) else self.pick(0, 1)
        self.inner = self.outer if tunnel == 0 or self.some(.8) else 12 - self.outer
        chain = []
        for number, kind in enumerate(kinds):
            mode = tunnel if number == 0 else self.pick(0, 0, 0, 1)
            mode = 1 if kind == 'ah' and mode == 4 else mode      # BEET with AH is broken in Linux
            sa = {'kind': kind, 'proto': {'esp': 50, 'ah': 51, 'comp': 108}[kind], 'mode': mode, 'spi': 0x1000 + number, 'reqid': self.pick(1, 1, 1, 0), 'src': src, 'dst': dst, 'family': self.outer, 'seq': 0, 'high': None,
                  'aead': kind == 'esp' and not outward and self.some(.15), 'flags': 0, 'encap': False, 'mark': [], 'id': []}
            if mode and number == 0 and (self.inner != self.outer or self.some(.5)):
                sa['flags'] |= 32
            for name in self.FLAGS:
                if self.some(.08):
                    sa['flags'] |= self.FLAGS[name]
            if kind == 'esp' and self.some(.2):
                sa['encap'] = True
            chain.append(sa)
        if sum(sa['encap'] for sa in chain):
            chain[-1]['encap'] = chain[-1]['kind'] == 'esp'
            for sa in chain[:-1]:
                sa['encap'] = False
        return chain

    def made_sa(self, sa, outward):
        flags, more, window, replay = sa['flags'], [], self.pick(0, 32, 32, 32, 4), None
        if sa['kind'] != 'comp' and self.some(.35):
            esn = self.some(.6)
            flags |= 128 if esn else 0
            window = self.pick(32, 64, 64, 128, 0 if not esn else 32)
            start = self.pick(0, 0, 0, 70, 0xfffffffd, 0xfffffff0) if esn else self.pick(0, 0, 70, 0xfffffffd)
            high = self.pick(0, 0, 1) if esn else 0
            sa['seq'], sa['high'] = start, high if esn else None
            more.append(('REPLAY_ESN_VAL', X.esn(window, None, *((start, 0, high, 0) if outward else (0, start, 0, high)))))
            window = 0
        elif self.some(.2) and sa['kind'] != 'comp':
            sa['seq'] = self.pick(70, 0xfffffffd)
            more.append(('REPLAY_VAL', X.enc('xfrm_replay_state', **({'oseq': sa['seq']} if outward else {'seq': sa['seq'], 'bitmap': self.pick(0, 1, 0xffffffff)}))))
        algorithms = [('ALG_COMP', X.algo('deflate', b''))] if sa['kind'] == 'comp' else [('ALG_AUTH_TRUNC', X.algo('hmac(sha256)', P.KEY, trunc=128))]
        if sa['kind'] == 'esp':
            algorithms = [('ALG_AEAD', X.algo('rfc4106(gcm(aes))', P.GCM_KEY, icv=128))] if sa['aead'] else algorithms + [('ALG_CRYPT', X.algo('ecb(cipher_null)', b''))]
        if sa['encap']:
            more.append(('ENCAP', X.enc('xfrm_encap_tmpl', encap_type=2, encap_sport=4500, encap_dport=4500)))
        more += [('SA_EXTRA_FLAGS', X.u32(self.pick(1, 2, 3)))] * self.some(.1) + [('SA_DIR', bytes([2 if outward else 1]))] * self.some(.1)
        if outward:
            more += [('TFCPAD', X.u32(self.pick(10, 100, 3000)))] * (sa['kind'] == 'esp' and self.some(.12))
        else:
            more += [('MTIMER_THRESH', X.u32(self.pick(1, 100)))] * (sa['encap'] and self.some(.2)) + [('REPLAY_THRESH', X.u32(self.pick(1, 3)))] * self.some(.1)
        if self.some(.06 if outward else .2):
            more += [('SET_MARK', X.u32(self.pick(1, 0x101)))] + [('SET_MARK_MASK', X.u32(self.pick(1, 0xff, 0xff00, 0xffff)))] * self.some(.5)
        inner = [P.ipaddress.ip_address(a) for a in self.ends_of(outward)]
        whole = 128 if self.inner == 10 else 32
        # BEET mode has the inner addresses from there.
        sel = X.enc('xfrm_selector') if sa['mode'] != 4 and self.some(.75) else X.enc('xfrm_selector', saddr=str(inner[0]), daddr=str(inner[1]), family=self.inner, prefixlen_s=whole, prefixlen_d=self.pick(whole, whole - 8) if sa['mode'] != 4 else whole, proto=self.pick(0, 0, 0, 17, 6))
        lft = UNLIMITED if self.some(.8) else dict(UNLIMITED, **{self.pick('soft_packet_limit', 'hard_packet_limit', 'soft_byte_limit', 'hard_byte_limit'): self.pick(1, 2, 3, 100, 300)})
        self.bursts = [1] if lft is not UNLIMITED else self.bursts      # the timer that deletes the SA runs between two packets, or later
        info = X.enc('xfrm_usersa_info', sel=sel, id={'daddr': sa['dst'], 'spi': sa['spi'], 'proto': sa['proto']}, saddr=sa['src'] if outward or self.some(.95) else ('::' if self.outer == 10 else '0.0.0.0'), lft=lft, family=sa['family'], mode=sa['mode'],
                     reqid=sa['reqid'], replay_window=window, flags=flags)
        self.sas.append(sa)
        return self.made('newsa', self.nl('NEWSA', info, *algorithms, *sa['mark'], *sa['id'], *more))

    def ends_of(self, outward):
        """Of the packet within: behind the gateways, or the gateways' own."""
        src, dst = self.INNER[self.inner] if self.far else (self.at[self.inner][1], self.at[self.inner][0])
        return (dst, src) if outward else (src, dst)

    def policy_for(self, chain, outward):
        info, templates = self.policy_parts(chain, outward)
        return self.made('newpolicy', self.nl('NEWPOLICY', info, *([('TMPL', templates)] if templates else [])))

    def policy_parts(self, chain, outward):
        src, dst = self.ends_of(outward)
        whole = 128 if self.inner == 10 else 32
        templates = []
        for sa in chain:
            fields = dict(id={'daddr': sa['dst'] if sa['mode'] else '0', 'spi': 0, 'proto': sa['proto']}, family=sa['family'], saddr=sa['src'] if sa['mode'] else '0', reqid=sa['reqid'], mode=sa['mode'], optional=sa['kind'] == 'comp' or self.some(.05), aalgos=0xffffffff, ealgos=0xffffffff, calgos=0xffffffff)
            if self.some(.12):
                fields.update(self.pick({'reqid': 7}, {'mode': 1 - sa['mode'] if sa['mode'] < 2 else 1}, {'saddr': self.at[self.outer][2]}, {'id': {'daddr': '0', 'spi': 0, 'proto': sa['proto']}}, {'optional': 1}, {'id': {'daddr': sa['dst'], 'spi': 0x1000, 'proto': sa['proto']}}, {'aalgos': 0}, {'saddr': '0'}))
            templates.append(X.enc('xfrm_user_tmpl', **fields))
        if self.some(.08):
            templates = self.pick([], templates[:-1], templates[::-1], templates + templates[:1])
        prefixes = self.prefixes if self.inner == 10 else [whole, 16, 0]
        sel = X.enc('xfrm_selector', saddr=src, daddr=dst, family=self.inner, prefixlen_s=self.r.choice(prefixes), prefixlen_d=self.r.choice(prefixes), proto=self.pick(0, 0, 0, 17), **self.pick({}, {}, {}, {'dport': 7000, 'dport_mask': 0xffff}, {'sport': 1111, 'sport_mask': 0xffff}))
        direction = 1 if outward else self.pick(0, 0, 0, 0, 0, 0, 0, 2)
        policy = {'sel': sel, 'dir': direction, 'index': 0, 'more': [], 'templates': templates}
        self.policies.append(policy)
        return X.enc('xfrm_userpolicy_info', sel=sel, lft={}, priority=self.pick(0, 100, 100), dir=direction, action=self.pick(*[0] * 15, 1), flags=self.pick(*[0] * 6, 1, 2, 2, 2)), b''.join(templates)

    def installed(self, chain, outward, chance):
        """The SAs, mostly a policy for them, and now and then another; mostly in this order."""
        steps = [self.made_sa(sa, outward) for sa in chain]
        if self.some(chance):
            steps.append(self.policy_for(chain, outward))
        if self.some(.15):
            steps.append(self.policy_for(chain[:1], outward))
        self.r.shuffle(steps) if self.some(.2) else None
        return steps

    def xfrm_interface(self, chain):
        """For a tunnel in a tunnel: so both sides have what Linux's module for these devices adds."""
        if any(sa['mode'] for sa in chain[1:]):
            yield {'cmd': ['ip', 'link', 'add', 'xf0', 'type', 'xfrm', 'if_id', '77'], 'wait_ms': 50}

    # Packets that come in
    def arrivals(self):
        self.far = self.some(.6)
        yield from self.cabled()
        chain = self.chain(False)
        self.far = self.far and chain[0]['mode'] > 0
        yield from self.xfrm_interface(chain)
        if chain[-1]['encap'] or self.some(.1):
            yield {'ike': True, 'what': 'ike'}
        if self.some(.05):
            yield self.made('default', self.nl('SETDEFAULT', bytes(self.pick(0, 1, 2, 2) for _ in range(3))))
        yield from self.installed(chain, False, .9)
        for _ in range(self.r.randint(3, 8)):
            if self.some(.85):
                for packet, what in self.arriving(chain):
                    yield {'inject': packet.hex(), 'what': what}
            else:
                yield from self.send(self.pick('getsa_dump', 'getsa', 'delsa', 'getae', 'getpolicy_dump', 'delpolicy', 'expire'))
        yield from self.send('getsa_dump')

    def arriving(self, chain):
        """Mostly as a peer would send it; else wrong in one way."""
        wrong = self.pick(*[''] * 14, 'bit', 'icv', 'short', 'spi', 'pad', 'pad length', 'following', 'inner cut', 'inner long', 'source', 'old', 'again', 'jump', 'port', 'fragments', 'plain', 'marker', 'keepalive', 'raw or udp', 'sum', 'extra', 'to other', 'options', 'empty', 'version', 'outer')
        src, dst = self.ends_of(False)
        if wrong == 'source':
            src = self.INNER[self.inner][0] if not self.far else self.at[self.inner][2]
        if wrong == 'to other':
            dst = self.at[self.inner][0] if self.far else self.INNER[self.inner][1]
        tos, outer_tos = self.pick(*[0] * 5, 1, 2, 3, 0xb8, 0xbb), self.pick(*[0] * 5, 1, 2, 3, 0xb8, 0xba)
        data = bytes((7 * i) & 0xff for i in range(self.pick(0, 8, 8, 8, 50, 61, 300)))
        if chain[0]['kind'] == 'comp' and self.some(.5):
            data = b'compress ' * 30
        packet = P.ip(src, dst, P.UDP, P.udp(src, dst if wrong != 'sum' else src, 1111, self.pick(7000, 7000, 7000, 7001) if wrong == 'port' else 7000, data, self.some(.8) or self.inner == 10), tos=tos, ttl=self.r.choice(self.hops), length=None if wrong != 'inner long' else 9000,
                      options=bytes([1, 1, 1, 0]) if wrong == 'options' and self.inner == 2 else b'')
        if self.some(.25):
            src, proto, payload = self.other_than_udp(src, dst, data, self.routes and wrong != 'to other')
            packet = P.ip(src, dst, proto, payload, tos=tos, ttl=self.r.choice(self.hops))
        if wrong == 'inner cut':
            packet = packet[:self.pick(1, 19, 20, 24, 27, 39, 40)]
        if wrong == 'version':
            packet = bytes([packet[0] ^ 0x20]) + packet[1:]
        if wrong == 'plain':
            yield packet, wrong
            return
        for number, sa in enumerate(chain):
            last = number == len(chain) - 1
            packet = self.protected(sa, packet, wrong if last or self.some(.3) else '', outer_tos if last else 0, last)
            if packet is None:
                return
        if wrong == 'fragments' and self.outer == 2 and len(packet) > 60:
            yield from ((f, wrong) for f in P.fragments(packet, self.pick(16, 24, 40)))
            return
        if wrong == 'short':
            packet = packet[:-self.pick(1, 2, 4, 12, 16, 20, 30, 44)]
            if packet[0] >> 4 == 6:
                packet = packet[:4] + struct.pack('>H', max(0, len(packet) - 40)) + packet[6:]
            else:
                head = bytearray(packet[:20])
                P.seal(head, len(packet))
                packet = bytes(head) + packet[20:]
        yield packet, wrong or 'well'

    def protected(self, sa, packet, wrong, tos, last):
        sequence, high = self.numbered(sa, wrong)
        tunnel, size, following = sa['mode'] == 1, 0, 0
        if not tunnel:
            if len(packet) < 20 or not 20 <= P.header(packet)[0] <= len(packet):
                return None
            size, _, following = P.header(packet)
        if wrong == 'following':
            following = self.pick(59, 6, 17, 4, 41, 0, 50)
        src, dst = sa['src'], sa['dst']
        if wrong == 'outer':
            src = self.at[self.outer][2]
        within = 4 if packet and packet[0] >> 4 == 4 else 41
        if wrong == 'following' and tunnel:
            within = following
        spi = sa['spi'] ^ (0x4000 if wrong == 'spi' else 0)
        if sa['kind'] == 'comp':
            payload, number = (packet, within) if tunnel else (packet[size:], following)
            small = P.deflate(payload)
            if len(small) + 4 >= len(payload) or self.some(.1):
                return P.ip(src, dst, within, packet, tos=tos) if tunnel else packet
            if wrong == 'bit':
                small = small[:5] + bytes([small[5] ^ 0x10]) + small[6:]
            comp = struct.pack('>BBH', number, 0, spi & 0xffff) + small
            return P.ip(src, dst, P.COMP, comp, tos=tos) if tunnel else P.between(packet, P.COMP, comp)
        if sa['kind'] == 'ah':
            if tunnel:
                packet = P.ip(src, dst, within, packet, tos=tos)
            elif sa['mode'] == 4:
                packet = P.ip(src, dst, following, packet[size:], tos=tos)
            packet = P.authenticated(packet, spi, sequence, high, sa['flags'] & 64 != 0)
            if wrong in ('bit', 'icv'):
                at = P.header(packet)[0] + 12 + self.pick(0, 15) if wrong == 'icv' else len(packet) - 1
                packet = packet[:at] + bytes([packet[at] ^ 1]) + packet[at + 1:]
            return packet
        payload, number = (packet, within) if tunnel else (packet[size:], following)
        if wrong == 'empty':
            payload = b''
        data = P.esp(spi, sequence, payload, number, high, sa['aead'], pad=bytes(self.pick(2, 3, 6, 10)) if wrong == 'pad' else None, pad_length=self.pick(0, 100, 255) if wrong == 'pad length' else None,
                     extra=bytes(self.pick(4, 40)) if wrong == 'extra' else b'')
        if wrong in ('bit', 'icv'):
            at = 8 + self.pick(0, 3, 8) if wrong == 'bit' else len(data) - self.pick(1, 16)
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
        if last and sa['encap'] != (wrong == 'raw or udp'):
            if wrong == 'marker':
                data = bytes(4) + data[4:]
            if wrong == 'keepalive':
                data = self.pick(b'\xff', b'\xff\xff', b'\xff\0', b'', b'\1', b'\1\2\3\4', b'\1\2\3\4\5\6\7\10')
            data = P.udp(src, dst, self.pick(4500, 4501) if wrong == 'port' else 4500, 4500, data, self.outer == 10 or self.some(.3))
            return P.ip(src, dst, P.UDP, data, tos=tos) if tunnel or sa['mode'] == 4 else P.between(packet, P.UDP, data)
        return P.ip(src, dst, P.ESP, data, tos=tos) if tunnel or sa['mode'] == 4 else P.between(packet, P.ESP, data)

    ROUTER = {2: '172.16.0.9', 10: 'fd00:9::9'}
    routes = False

    def other_than_udp(self, src, dst, data, passes):
        """An ICMP error about a packet from `dst`, mostly by a router that no selector names; where the packet only passes through, TCP and others too."""
        six = ':' in src
        kind = self.pick('error', 'error', 'error', 'tcp', 'echo', 'sctp', 'gre', 'dccp', 'udplite', 'none') if passes else 'error'
        proto = {'tcp': P.TCP, 'sctp': 132, 'gre': 47, 'dccp': 33, 'udplite': 136, 'none': 59}.get(kind, P.ICMPV6 if six else P.ICMP)
        if kind == 'error':
            about = P.ip(dst, src, P.UDP, P.udp(dst, src, self.pick(7000, 7000, 9), self.pick(1111, 2222), data)) if self.some(.9) else P.ip(dst, self.ROUTER[10 if six else 2], P.TCP, P.tcp(dst, self.ROUTER[10 if six else 2], 9, 80, 2))
            by = self.ROUTER[10 if six else 2] if self.some(.7) else src
            chosen, code = self.pick((1, 0), (1, 3), (2, 0), (3, 0), (4, 0)) if six else self.pick((3, 1), (3, 3), (3, 4), (11, 0), (12, 0), (4, 0))
            return by, proto, P.icmp(by, dst, chosen, code, 1300, about[:self.pick(20, 28, 48, 500, 500, 500)])
        if kind == 'tcp':
            return src, proto, P.tcp(src, dst, 1111, 7000, self.pick(2, 16, 24), data)
        if kind == 'echo':
            return src, proto, P.icmp(src, dst, self.pick(128, 129) if six else self.pick(8, 0), 0, 0x10001, data)
        if kind == 'gre':
            return src, proto, struct.pack('>HH', self.pick(0, 0x2000, 0xa000), 0x0800) + struct.pack('>II', 0x04571b58, 0x04571b58) + data
        return src, proto, struct.pack('>HHII', 1111, 7000, 0, 0) + data

    def numbered(self, sa, wrong):
        """The next sequence number, or another."""
        whole = ((sa['high'] or 0) << 32) + sa['seq']
        if wrong == 'again':
            pass
        elif wrong == 'old':
            whole = max(whole - self.pick(1, 2, 31, 32, 33, 63, 64, 130), 0)
        else:
            whole += self.pick(2, 33, 65, 200, 1 << 31) if wrong == 'jump' else 1
            sa['seq'], sa['high'] = whole & 0xffffffff, None if sa['high'] is None else whole >> 32 & 0xffffffff
        return whole & 0xffffffff, None if sa['high'] is None else whole >> 32 & 0xffffffff

    # Packets that go out, byte for byte
    def departures(self):
        self.far = self.some(.5)
        yield from self.cabled()
        chain = self.chain(True)
        self.far = self.far and chain[0]['mode'] > 0
        yield from self.installed(chain, True, .95)
        yield from self.departing(lambda: [])

    def departing(self, more):
        src, dst = self.ends_of(True)
        for _ in range(self.r.randint(3, 8)):
            if self.some(.85):
                six = self.inner == 10
                # Sent with DF, as the identification would be chance; larger ones are cut by the sender.
                size = self.pick(0, 8, 8, 50, 61, 300, 1300, 2000, *[] if six else [1350, 1372, 1400, 1430, 1472])
                largest = 1300      # more may not fit, which a TUN tells a moment later
                options = [((41, 23) if six else (0, 10), self.pick(2, 2, 2, 3, 1, 0) if self.some(.3) and size <= largest else 0 if size > largest else 2)] + [((41, 67) if six else (0, 1), self.pick(1, 2, 0xb8, 0xbb, 4))] * self.some(.3) + [((41, 16) if six else (0, 2), self.pick(1, 3, 255))] * self.some(.3)
                yield {'send': {'src': src, 'dst': dst, 'sport': self.pick(1111, 1111, 2222), 'dport': self.pick(7000, 7000, 7000, 9), 'len': size, 'options': options + more(), 'mark': self.pick(0, 0, 0, 0, 1), 'n': self.r.choice(self.bursts)}, 'what': 'send'}
            else:
                yield from self.send(self.pick('getsa_dump', 'getsa', 'delsa', 'getae', 'getpolicy_dump', 'delpolicy', 'expire', 'flushsa'))
        yield from self.send('getsa_dump')

    # Packets of sockets that have policies of their own
    def owners(self):
        self.far, outward = self.some(.5), self.some(.6)
        yield from self.cabled()
        chain = self.chain(outward)
        self.far = self.far and chain[0]['mode'] > 0
        yield from self.xfrm_interface(chain)
        if chain[-1]['encap'] and not outward:
            yield {'ike': True, 'what': 'ike'}
        for sa in chain:
            yield self.made_sa(sa, outward)
        if self.some(.3):
            yield self.policy_for(chain[:1], outward)
        option = (41, 35) if self.inner == 10 else (0, 17)
        own = lambda: b''.join(self.policy_parts(chain, outward)).hex()
        if outward:
            yield from self.departing(lambda: [(option, own())] * self.some(.7))
            return
        for _ in range(self.r.randint(3, 6)):
            if self.some(.5):
                yield {'hear': option, 'hex': own(), 'what': 'hear'}
            for packet, what in self.arriving(chain):
                yield {'inject': packet.hex(), 'what': what}
        yield from self.send('getpolicy_dump')

    # A gateway's packets, both ways
    def gateway(self):
        self.far, self.routes, self.INNER = True, True, {2: ('192.168.1.1', '192.168.2.9'), 10: ('fd00:1::1', 'fd00:2::9')}
        yield from self.cabled()
        # No neighbour discovery among what policy covers: in a TUN it could resolve nothing.
        self.prefixes, self.hops = [128, 16], (64, 2, 255)
        lines = ['link add w0 type veth peer name w1', 'addr add 192.168.2.254/24 dev w0', 'addr add fd00:2::fe/64 dev w0 nodad', 'link set w0 up', 'link set w1 up', 'neigh add 192.168.2.9 lladdr 02:00:00:00:00:02 dev w0', 'neigh add fd00:2::9 lladdr 02:00:00:00:00:02 dev w0']
        yield self.ip_batch(lines, '; echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding')
        out = self.chain(True)
        while out[0]['mode'] == 0:
            out = self.chain(True)
        yield from self.xfrm_interface(out)
        back = [dict(sa, src=sa['dst'], dst=sa['src'], spi=sa['spi'] + 0x100) for sa in out]
        if out[-1]['encap']:
            yield {'ike': True, 'what': 'ike'}
        for sa in out:
            yield self.made_sa(sa, True)
        yield self.policy_for(out, True)
        for sa in back:
            yield self.made_sa(sa, False)
        for direction in (0, 2):
            step = self.policy_for(back, False)
            data = bytearray.fromhex(step['hex'])
            data[16 + 56 + 64 + 32 + 8] = direction
            step['hex'] = data.hex()
            self.policies[-1]['dir'] = direction
            yield step
        for _ in range(self.r.randint(4, 9)):
            chosen = self.r.random()
            if chosen < .45:
                for packet, what in self.arriving(back):
                    yield {'inject': packet.hex(), 'what': what}
            elif chosen < .9:
                yield from self.from_lan()
            else:
                yield from self.send(self.pick('getsa_dump', 'getsa', 'delsa', 'getpolicy_dump', 'delpolicy', 'default'))
        yield from self.send('getsa_dump')

    def from_lan(self):
        src, dst = self.ends_of(True)
        wrong = self.pick(*[''] * 8, 'other', 'options', 'port', 'icmp', 'icmp', 'icmp', 'esp')
        if wrong == 'other':
            dst = {2: '192.168.1.77', 10: 'fd00:1::77'}[self.inner]
        data = bytes((3 * i) & 0xff for i in range(self.pick(0, 8, 8, 50, 300, 1300, 1330, 1372, 1400, 1440, 1472 if self.inner == 2 else 1452)))
        proto, payload = P.UDP, P.udp(src, dst, self.pick(1111, 2222), self.pick(7000, 7000, 7000, 9), data)
        if wrong == 'esp':
            proto, payload = P.ESP, P.esp(0x777, 1, data, 17)
        if wrong == 'icmp':
            src, proto, payload = self.other_than_udp(src, dst, data, True)
        packet = P.ip(src, dst, proto, payload, tos=self.pick(*[0] * 4, 1, 2, 3, 0xb8, 0xbb), ttl=self.pick(64, 64, 64, 2, 255), df=self.some(.6), options=bytes([1, 1, 1, 0]) if wrong == 'options' and self.inner == 2 else b'', flow=self.pick(0, 0x12345))
        if self.inner == 2 and self.some(.1) and len(packet) > 400 and packet[0] == 0x45:
            yield from ({'inject': f.hex(), 'at': 'w1', 'what': 'fragment from the lan'} for f in P.fragments(packet, self.pick(400, 800)))
        else:
            yield {'inject': packet.hex(), 'at': 'w1', 'what': ('from the lan ' + wrong).strip()}

    # Larval SAs
    def larval(self):
        for _ in range(self.r.randint(4, 10)):
            sa = self.r.choice(self.sas) if self.sas and self.some(.75) else None
            if sa is None:
                src, dst = self.ends()
                proto = self.pick(50, 50, 51, 108)
                sa = {'src': src, 'dst': dst, 'proto': proto, 'spi': self.spi(), 'mode': self.pick(0, 1, 1, 4), 'reqid': self.pick(0, 1, 2), 'mark': self.mark(.15), 'id': self.if_id(.15), 'seq': self.pick(0, 0, 7, 9)}
                self.sas.append(sa)
            what = self.r.choice(['alloc'] * 4 + ['sa'] * 6 + ['acquire', 'getsa', 'delsa', 'getae', 'newae', 'expire', 'flushsa', 'getsa_dump', 'packet_free', 'getspi', 'info'])
            _, info = self.sa_info(known=sa)
            info = bytearray(info)
            if self.some(.7):
                struct.pack_into('<I', info, 56 + 24 + 16 + 64 + 32 + 12, sa.get('seq', 0))
            if what == 'alloc':
                low = sa['spi'] if self.some(.8) else self.spi()
                yield self.made('allocspi', self.nl('ALLOCSPI', bytes(info) + struct.pack('<II', low, low if self.some(.9) else low + 0x1000), *(sa['mark'] if self.some(.9) else []), *(sa['id'] if self.some(.9) else []),
                                                    *self.sometimes(.12, 'SA_DIR', 'SA_PCPU')))
            elif what == 'sa':
                more = self.sometimes(.1, 'SA_DIR', 'ENCAP', 'LTIME_VAL', 'REPLAY_ESN_VAL', 'SA_PCPU')
                yield self.made('newsa', self.nl(self.pick('NEWSA', 'UPDSA', 'UPDSA', 'UPDSA'), bytes(info), *self.algorithms(sa['proto']), *(sa['mark'] if self.some(.9) else []), *(sa['id'] if self.some(.9) else []), *more))
            elif what == 'getspi':
                yield from self.send(self.pick('getspi', 'add'))
            elif what != 'packet_free':
                yield from self.send(what)
        if self.some(.06):
            yield {'sleep_ms': 2300}
            yield from self.send('getsa_dump')

    # What Linux 6.13 to 6.18 brought: SAs for one processor, policies that ask by processor, IP-TFS, offload in MIGRATE
    def since_6_12(self):
        iptfs = ['IPTFS_DROP_TIME', 'IPTFS_REORDER_WINDOW', 'IPTFS_DONT_FRAG', 'IPTFS_INIT_DELAY', 'IPTFS_MAX_QSIZE', 'IPTFS_PKT_SIZE']
        for _ in range(self.r.randint(4, 12)):
            if self.some(.25):
                yield from self.send(self.pick('getsa', 'getsa', 'delsa', 'getsa_dump', 'getpolicy_dump', 'expire', 'getae', 'acquire'))
                continue
            if self.some(.2):
                policy, info = self.policy_info()
                templates = [bytearray(self.template()) for _ in range(self.pick(1, 1, 2))]
                for template in templates:
                    template[48] = self.pick(5, 5, 1, 0)
                info = bytearray(info)
                info[162] = self.pick(0, 4, 4, 1, 5)       # flags
                yield self.made('newpolicy', self.nl(self.pick('NEWPOLICY', 'UPDPOLICY'), bytes(info), ('TMPL', b''.join(map(bytes, templates))), *self.sometimes(.1, 'SA_PCPU', *iptfs)))
                continue
            if self.some(.15):
                yield self.made('migrate', self.nl('MIGRATE', X.enc('xfrm_userpolicy_id', sel=self.selector(), dir=self.pick(0, 1, 2)), ('MIGRATE', self.r.choice(MADE['MIGRATE'])), *self.sometimes(.4, 'OFFLOAD_DEV', 'ENCAP', 'IF_ID', 'SA_PCPU')))
                continue
            known = self.r.choice(self.sas) if self.sas and self.some(.4) else None
            sa, info = self.sa_info(self.pick(50, 50, 50, 50, 51, 108), known=known)
            info = bytearray(info)
            at = X.sizeof('xfrm_selector') + X.sizeof('xfrm_id') + 16 + X.sizeof('xfrm_lifetime_cfg') + X.sizeof('xfrm_lifetime_cur') + X.sizeof('xfrm_stats') + 10
            mode = self.pick(1, 1, 0, 4)
            if self.some(.2):
                mode = 5        # refused without a direction: Debian's kernels lack the module, and so keep none of its attributes
            info[at] = mode
            if self.some(.6):
                info[at + 1:at + 3] = b'\0\0'
            more = [('SA_DIR', bytes([self.pick(1, 2, 2)]))] if mode != 5 and self.some(.8) else []
            more += self.sometimes(.15 if mode == 5 else .04, *iptfs) + self.sometimes(.35 if mode != 5 else .1, 'SA_PCPU') + self.sometimes(.08, 'ENCAP', 'TFCPAD', 'OFFLOAD_DEV', 'REPLAY_ESN_VAL', 'NAT_KEEPALIVE_INTERVAL')
            self.sas.append(dict(sa, mode=mode))
            if self.some(.2):
                yield self.made('allocspi', self.nl('ALLOCSPI', bytes(info) + struct.pack('<II', sa['spi'], sa['spi']), *sa['mark'], *more))
            else:
                yield self.made('newsa', self.nl(self.pick('NEWSA', 'UPDSA') if known else 'NEWSA', bytes(info), *self.algorithms(sa['proto']), *sa['mark'], *sa['id'], *more))

    # NEWAE and GETAE
    def events(self):
        for _ in range(self.pick(1, 1, 2, 3)):
            src, dst = self.hosts[0], self.hosts[1]
            sa = {'src': src, 'dst': dst, 'proto': self.pick(50, 50, 51), 'spi': self.spi(), 'mode': self.pick(0, 1), 'reqid': 1, 'mark': self.mark(.2), 'id': self.if_id(.2)}
            _, info = self.sa_info(known=sa)
            info = bytearray(info)
            more = self.sometimes(.2, 'REPLAY_THRESH', 'ETIMER_THRESH', 'LTIME_VAL', 'SA_DIR', 'SA_PCPU', 'REPLAY_VAL')
            self.window = None
            if self.some(.6):
                self.window = self.pick(0, 1, 32, 33, 64, 4096)
                info[56 + 24 + 16 + 64 + 32 + 12 + 8 + 3] = 0
                info[56 + 24 + 16 + 64 + 32 + 12 + 8 + 4] = self.pick(128, 128, 0)
                more.append(('REPLAY_ESN_VAL', X.esn(self.window, None, *self.pick((0, 0, 0, 0), (0, 0, 0, 0), (7, 0, 1, 0), (0, 9, 0, 1)))))
            self.sas.append(dict(sa, window=self.window))
            yield self.made('newsa', self.nl('NEWSA', bytes(info), *self.algorithms(sa['proto']), *sa['mark'], *sa['id'], *more))
        for _ in range(self.r.randint(3, 9)):
            body = self.event(self.pick(0, 1, 2, 4, 8, 16, 7, 0x20, 0x40, 0xff, 0xffffffff))
            more = self.sometimes(.3, 'REPLAY_VAL', 'LTIME_VAL', 'ETIMER_THRESH', 'REPLAY_THRESH') + self.sometimes(.08, 'MTIMER_THRESH', 'REPLAY_ESN_VAL')
            window = self.last.get('window')
            if window is not None and self.some(.6):
                more.append(('REPLAY_ESN_VAL', X.esn(self.pick(window, window, window, 0, window + 1), (window + 31) // 32 if self.some(.9) else 1, self.pick(0, 9), self.pick(0, 5), self.pick(0, 1), self.pick(0, 1))))
            if self.some(.6):
                yield self.made('newae', self.nl('NEWAE', body, *self.its_mark(), *more, flags=self.pick(0x105, 0x105, 0x105, 5)))
            else:
                yield self.made('getae', self.nl('GETAE', body, *self.its_mark()))
            if self.some(.25):
                yield from self.send(self.pick('getsa', 'getsa_dump', 'expire', 'newsa', 'delsa'))

    # Dumps that are read in parts
    def parts(self):
        self.many = True
        kinds = [['newsa'], ['newpolicy'], ['newsa', 'newpolicy']][self.r.randrange(3)]
        for _ in range(self.r.randint(12, 50)):
            yield from self.send(self.pick(*kinds))
        name = 'nl7'
        yield {'open': name, 'groups': [], 'options': self.pick([], [], [11, 10], [11, 10, 12])}
        self.many = False
        for _ in range(self.pick(1, 1, 2)):
            self.sequence += 1
            if 'newsa' in kinds and self.some(.6):
                dump = self.nl('GETSA', X.enc('xfrm_usersa_id'), *self.sometimes(.25, 'PROTO', 'ADDRESS_FILTER'), flags=self.pick(0x301, 0x305))
            else:
                dump = self.nl('GETPOLICY', X.enc('xfrm_userpolicy_id'), flags=self.pick(0x301, 0x305))
            yield {'sock': name, 'what': 'dump', 'hex': dump.hex(), 'take': self.pick(0, 1, 1, 2)}
            # What goes meanwhile may be in the part that Linux makes when the one before it is read, and xfrmd a part earlier.
            for _ in range(self.r.randint(1, 6)):
                yield from self.send(self.pick('newsa', 'newpolicy', 'getsa_dump', 'getpolicy_dump', 'getsa', 'getpolicy', 'info'))
            yield {'rest': name}

    # Several sockets in several groups, with options
    def listeners(self):
        names = ['nl4', 'nl5', 'nl6'][:self.pick(1, 2, 3)]
        for name in names:
            yield {'open': name, 'groups': self.r.sample(range(1, 9), self.r.randint(0, 8)), 'options': self.pick([], [11], [10], [11, 10], [11, 12], [10, 11, 12], [3], [4], [5])}
        for _ in range(self.r.randint(5, 14)):
            name = self.pick('nl', *names)
            step = dict(next(iter(self.step(self.r.choice(self.NETLINK)))))
            if step['sock'].startswith('nl'):
                step['sock'] = name
            if self.some(.2):
                data = bytearray.fromhex(step['hex'])
                flags = struct.unpack_from('<H', data, 6)[0] | self.pick(8, 8, 4, 0x200, 0x400)
                struct.pack_into('<H', data, 6, flags)
                if self.some(.3):
                    struct.pack_into('<I', data, 12, self.pick(1, 0x7fffffff, 0xffffffff))
                step['hex'] = data.hex()
            yield step

    # One policy and its likes, told apart by selector, mark, if_id, type, index and context
    def policies_by_key(self):
        selectors = [self.selector() for _ in range(2)]
        known = []
        for _ in range(self.r.randint(6, 16)):
            if known and self.some(.55):
                sel, direction, more, index = self.r.choice(known)
                if self.some(.15):
                    more = self.mark(.5) + self.if_id(.5) + self.policy_type()
            else:
                sel, direction, more, index = self.r.choice(selectors), self.pick(0, 1, 1, 2), self.mark(.5) + self.if_id(.3) + self.policy_type(), self.pick(0, 0, 8 * self.r.randint(1, 4))
                index = index and index | direction
                known.append((sel, direction, more, index))
            kind = self.pick('NEWPOLICY', 'NEWPOLICY', 'NEWPOLICY', 'UPDPOLICY', 'GETPOLICY', 'GETPOLICY', 'DELPOLICY', 'POLEXPIRE', 'POLEXPIRE', 'dump', 'info')
            if kind in ('dump', 'info'):
                yield from self.send('getpolicy_dump' if kind == 'dump' else 'info')
                continue
            context = self.sometimes(.1, 'SEC_CTX')
            index = index if self.some(.5) else self.pick(0, 0, 0, index ^ 1, 8 * self.r.randint(1, 9) | direction)
            info = X.enc('xfrm_userpolicy_info', sel=sel, lft=self.limits(), priority=self.pick(0, 1, 100), index=index, dir=direction, action=self.pick(0, 1), flags=self.pick(0, 0, 1, 2, 3, 8))
            if kind in ('NEWPOLICY', 'UPDPOLICY'):
                yield self.made(kind, self.nl(kind, info, *([('TMPL', self.template())] if self.some(.5) else []), *more, *context))
            elif kind == 'POLEXPIRE':
                yield self.made(kind, self.nl(kind, X.enc('xfrm_user_polexpire', pol=info, hard=self.pick(0, 1, 2)), *more, *context))
            else:
                yield self.made(kind, self.nl(kind, X.enc('xfrm_userpolicy_id', sel=sel, index=index, dir=direction if self.some(.95) else 3), *more, *context))

    # SAs with a direction
    def directions(self):
        for _ in range(self.r.randint(4, 12)):
            if self.sas and self.some(.35):
                yield from self.send(self.pick('getsa', 'getsa_dump', 'delsa', 'newae', 'getae', 'expire', 'info'))
                continue
            known = self.r.choice(self.sas) if self.sas and self.some(.4) else None
            sa, info = self.sa_info(self.pick(50, 50, 51), known)
            info = bytearray(info)
            direction = self.pick(1, 2)
            if self.some(.8):
                info[56 + 24 + 16 + 64 + 32 + 12 + 8 + 3] = 0 if direction == 2 else self.pick(0, 32)
                info[56 + 24 + 16 + 64 + 32 + 12 + 8 + 4] &= ~(2 | 8 | 16 if direction == 2 else 4)
            more = [('SA_DIR', bytes([direction]))] + self.sometimes(.12, 'SA_EXTRA_FLAGS', 'REPLAY_VAL', 'REPLAY_ESN_VAL', 'ENCAP', 'MTIMER_THRESH', 'SA_PCPU', 'NAT_KEEPALIVE_INTERVAL', 'OFFLOAD_DEV', 'TFCPAD')
            if self.some(.3):
                info[56 + 24 + 16 + 64 + 32 + 12 + 8 + 3], info[56 + 24 + 16 + 64 + 32 + 12 + 8 + 4] = 0, self.pick(0, 128)
                words = self.pick((0, 0, 0, 0), (0, 0, 0, 0), (7, 0, 0, 0), (0, 7, 0, 0), (0xffffffff, 0, 0xffffffff, 0), (0, 0xffffffff, 0, 0xffffffff), (0xffffffff, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
                more.append(('REPLAY_ESN_VAL', X.esn(self.pick(0, 0, 32, 64), self.pick(None, 0, 1), *words)))
            self.sas.append(sa)
            yield self.made('newsa', self.nl(self.pick('NEWSA', 'NEWSA', 'UPDSA'), bytes(info), *self.algorithms(sa['proto']), *sa['mark'], *sa['id'], *more))

    # Keys that fill or overfill an answer
    def long_keys(self):
        for _ in range(self.r.randint(2, 6)):
            known = self.r.choice(self.sas) if self.sas and self.some(.2) else None
            sa, info = self.sa_info(self.pick(50, 51), known)
            size = self.pick(20, 64, 500, 1500, 1700, 1800, 1900, 3500, 3700, 8000, 16000, 31000)
            name = self.pick('hmac(sha1)', 'hmac(sha256)', 'hmac(md5)')
            attributes = [('ALG_AUTH', X.algo(name, bytes(size)))] if self.some(.5) else [('ALG_AUTH_TRUNC', X.algo(name, bytes(size), trunc=96))]
            if sa['proto'] == 50:
                attributes.append(('ALG_CRYPT', X.algo('cbc(aes)', bytes(16))))
            self.sas.append(sa)
            yield self.made('newsa', self.nl(self.pick('NEWSA', 'NEWSA', 'UPDSA'), info, *attributes, *sa['mark'], *sa['id'], *self.sometimes(.2, 'REPLAY_ESN_VAL')))
            if self.some(.6):
                yield from self.send(self.pick('getsa', 'getsa', 'getsa_dump', 'getae', 'expire', 'delsa'))


def spliced(r, recorded):
    """Recorded steps of one to five scenarios."""
    kind, opts, steps = r.choice(recorded)
    steps = list(steps)
    for _ in range(r.choice([0, 0, 1, 1, 2, 4])):
        more_kind, _, more = r.choice(recorded)
        if r.random() < .6 and more_kind != kind:
            continue                # mostly one family; sometimes both in one scenario
        if any(t.get('capture') for t in more + steps):
            continue                # two captures would take one name
        if r.random() < .5:
            more = r.sample(more, r.randint(1, len(more)))
        at = r.randint(0, len(steps))
        steps[at:at] = more
    steps = steps[:14]
    if not any(t.get('capture') for t in steps):
        if r.random() < .15:
            r.shuffle(steps)
        if r.random() < .15:
            steps.insert(r.randint(0, len(steps)), r.choice(steps))
    return opts, steps


def datagrams(r, steps):
    """Now and then two netlink messages in one datagram."""
    out = []
    for step in steps:
        last = out[-1] if out else {}
        if r.random() < .04 and all(t.get('sock') == 'nl' and 'take' not in t and len(t['hex']) >= 32 and not t.get('capture') and not t.get('patch') for t in (step, last)) and len(last['hex']) % 8 == 0 and not any(int(t['hex'][8:10], 16) == X.MSG['ALLOCSPI'] for t in (step, last)):
            last = out.pop()
            # Without the second try on the socket with extended ACKs: it would be told of the first error alone.
            step = {'sock': 'nl', 'what': last['what'] + ' and ' + step['what'], 'hex': last['hex'] + step['hex'], 'noext': True}
        out.append(step)
    return out


def scenario(r, n, recorded, pools):
    chosen = r.random()
    if chosen < .35 and not THEMES:
        opts, steps = spliced(r, recorded)
        changed = .5
    elif chosen < .65 or THEMES:
        opts, steps, changed = {'sysctl': {'net.core.xfrm_acq_expires': r.choice([1, 1000])}}, list(Themes(r).steps()), r.choice([0, 0, 0, .05, .15])
    else:
        opts, steps, changed = {}, list(Composer(r).steps()), r.choice([0, .1, .1, .3])
    steps = [change_step(r, t, pools) if r.random() < changed else t for t in steps]
    if 'sysctl' in opts and not any('sleep_ms' in t for t in steps):
        opts = {}
    steps = datagrams(r, [t for t in steps if not newer(t) and not chance(t)])
    if r.random() < .1:             # who listens decides whom ACQUIRE waits for and who is told
        opts = dict(opts, **r.choice([{'mc': False}, {'pk2': False}, {'mc': False, 'pk2': False}]))
    if r.random() < .1:
        at = r.randint(0, len(steps))
        if r.random() < .6:
            steps.insert(at, {'open': 'pk3', 'register': r.random() < .5})
            steps[at + 1:] = [dict(t, sock='pk3') if t.get('sock') == 'pk' and not t.get('capture') and r.random() < .4 else t for t in steps[at + 1:]]
        else:
            listener = r.choice(['mc', 'pk2'])
            if opts.get(listener, True):
                steps.insert(at, {'close': listener})
                steps.insert(r.randint(at + 1, len(steps)), {'open': listener, 'groups': True} if listener == 'mc' else {'open': listener, 'register': True})
    pk = any(t.get('sock', '').startswith('pk') for t in steps)
    return {'name': '%s/random/%d/%d' % ('pk' if pk else 'nl', seed, n), 'opts': opts, 'steps': steps}


def main():
    recorded = load()
    pools = {False: [], True: []}
    for _, _, steps in recorded:
        for step in steps:
            message = parse(step)
            if message is not None and not getattr(message, 'spi_info', False):
                pools[step['sock'].startswith('pk')] += [(kind, bytes(data)) for kind, data in message.parts]
    pools = {k: sorted(set(v)) for k, v in pools.items()}
    r = Made(seed)
    for n in range(count):
        print(json.dumps(scenario(r, n, recorded, pools)))


main()
