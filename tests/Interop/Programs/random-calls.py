"""Random system calls on sockets of NETLINK_XFRM or PF_KEY. Prints one line a call: the same on any Linux.

random-calls.py SEED COUNT [pfkey]"""
import ctypes, errno, os, random, socket, struct, sys

from netlink_messages import msg, policy, policy_id

KEY = sys.argv[3:] == ['pfkey']
AF, XFRM, SOL = (15, 2, 270) if KEY else (16, 6, 270)
seed, count = int(sys.argv[1]), int(sys.argv[2])
r = random.Random(seed)
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
NR = dict(read=0, write=1, close=3, fstat=5, poll=7, lseek=8, ioctl=16, readv=19, writev=20, dup=32, sendto=44, recvfrom=45, sendmsg=46,
          recvmsg=47, shutdown=48, bind=49, listen=50, getsockname=51, getpeername=52, setsockopt=54, getsockopt=55, connect=42, accept=43,
          accept4=288, recvmmsg=299, sendmmsg=307, fcntl=72, ftruncate=77, fsync=74, pread64=17, pwrite64=18, socket=41)
PID, NOBODY = os.getpid(), 0x3fffff
WORDS = {struct.pack('<I', PID): 'pid', struct.pack('<I', NOBODY): 'nobody'}


def call(name, *arguments):
    """The result, or the name of the error."""
    ctypes.set_errno(0)
    values = [ctypes.c_void_p(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(NR[name]), *values)
    return result if result >= 0 else errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))


def port(p):
    return 'pid' if p == PID else 'negative' if p >= 0x80000000 else str(p)


def control_text(data):
    """In hex, but for numbers of processes: whole words, as others hold the same digits by chance."""
    words = [data[i:i + 4] for i in range(0, len(data), 4)]
    return ''.join(WORDS.get(w, w.hex()) for w in words)


def address(data):
    if len(data) < 12:
        return data.hex()
    family, pad, pid, groups = struct.unpack_from('<HHII', data)
    return '%d/%s/%x%s' % (family, port(pid), groups, data[12:].hex())


def pick(*choices):
    return r.choice(choices)


# --- messages


def message():
    seq = r.randint(1, 9)
    flags = pick(5, 5, 5, 1, 1, 0x301, 0x305, 0, 4, 0x105, 0x405, 0xffff)
    i = r.randint(1, 4)
    kind = r.random()
    pid = pick(0, 0, 0, 0, PID, 5, 0xffffffff)
    if kind < .25:
        m = policy(i, flags=pick(5, 5, 1, 0x405), seq=seq, pid=pid, kind=pick(19, 19, 25))
    elif kind < .4:
        m = policy_id(20, i, flags=pick(5, 1), seq=seq, pid=pid)
    elif kind < .5:
        m = policy_id(21, i, flags=pick(5, 1, 0x301, 0x305), seq=seq, pid=pid)
    elif kind < .6:
        m = msg(21, flags=pick(0x301, 0x301, 0x305, 1), seq=seq, pid=pid)
    elif kind < .65:
        m = msg(18, flags=pick(0x301, 0x305), seq=seq, pid=pid)
    elif kind < .72:
        m = msg(29, b'', flags=5, seq=seq)
    elif kind < .78:
        m = msg(pick(35, 37, 40), struct.pack('<I', 0), flags=pick(1, 5), seq=seq)
    elif kind < .88:
        m = msg(r.randint(0, 45), r.randbytes(r.randint(0, 80)), flags=flags, seq=seq, pid=pid)
    else:
        m = msg(pick(19, 20, 21, 35), r.randbytes(r.randint(0, 40)), flags=flags, seq=seq, length=pick(0, 15, 16, 17, 20, 1000, 0xffffffff))
    return m


def key_message():
    seq, pid = r.randint(1, 9), pick(PID, PID, 0, 77)

    def sadb(kind, satype, *extensions, length=None, version=2, err=0):
        body = b''.join(extensions)
        return struct.pack('<BBBBHHII', version, kind, err, satype, (16 + len(body)) // 8 if length is None else length, 0, seq, pid) + body

    def addr(ext, ip, port=0, prefix=32):
        return struct.pack('<HHBBH', 3, ext, pick(0, 0, 255), prefix, 0) + struct.pack('<HH', 2, port) + socket.inet_aton(ip) + bytes(8)
    i = r.randint(1, 3)
    both = addr(5, '10.0.0.1'), addr(6, '10.0.1.%d' % i)
    sa = struct.pack('<HHIBBBBI', 2, 1, socket.htonl(0x100 + i), 0, 1, pick(2, 3), pick(3, 11), 0)
    keys = struct.pack('<HHHH', 4, 8, 160, 0) + bytes(24), struct.pack('<HHHH', 4, 9, 192, 0) + bytes(range(24))
    policy = struct.pack('<HHHBBII', 2, 18, pick(0, 1), pick(1, 2), 0, 0, pick(0, 5))
    return pick(
        lambda: sadb(7, pick(2, 3, 9, 0)),
        lambda: sadb(1, pick(2, 3, 3), *both, struct.pack('<HHIII', 2, 16, *pick((0x100 + i, 0x100 + i), (0x500, 0x500), (0x600, 0x500)), 0)),
        lambda: sadb(pick(2, 3), pick(3, 3, 2), sa, *both, *keys),
        lambda: sadb(pick(4, 5), 3, sa, *both),
        lambda: sadb(10, pick(0, 3)),
        lambda: sadb(9, pick(0, 2, 3)),
        lambda: sadb(pick(14, 13, 15), 0, policy, addr(5, '10.0.%d.0' % i, prefix=24), addr(6, '10.1.0.0', prefix=16)),
        lambda: sadb(18, 0), lambda: sadb(19, 0),
        lambda: sadb(11, pick(0, 1, 2)),
        lambda: sadb(r.randint(0, 26), r.randint(0, 10), r.randbytes(8 * r.randint(0, 8))),
        lambda: sadb(pick(2, 7, 10), 3, *both, length=pick(0, 1, 2, 5, 100, 0xffff)),
        lambda: sadb(7, 3, version=pick(0, 1, 3)), lambda: sadb(7, 3, err=pick(0, 1, 255)))()


def datagram():
    if KEY:
        return key_message() if r.random() < .9 else r.randbytes(r.randint(0, 40))
    k = r.random()
    if k < .75:
        return message()
    if k < .9:
        return b''.join(message() for _ in range(r.randint(2, 4)))
    return r.randbytes(r.randint(0, 40))


def brief(data):
    if KEY:
        if len(data) < 16:
            return str(len(data))
        version, kind, err, satype, length, reserved, seq, pid = struct.unpack_from('<BBBBHHII', data)
        return '%d/%d/%s/%d/%d/%x/%s of %d' % (version, kind, errno.errorcode.get(err, err), satype, length, seq, port(pid), len(data))
    out = []
    while len(data) >= 16:
        length, kind, flags, seq, pid = struct.unpack_from('<IHHII', data)
        text = '%d/%d/%x/%d/%s' % (kind, length, flags, seq, port(pid))
        if kind in (2, 3) and len(data) >= 20:
            text += '/' + errno.errorcode.get(-struct.unpack_from('<i', data, 16)[0], '0')
            if kind == 2 and len(data) >= 36:
                text += ':%d/%d/%x/%d/' % struct.unpack_from('<IHHI', data, 20) + port(struct.unpack_from('<I', data, 32)[0])
                if flags & 0x200:
                    at = 36 if flags & 0x100 else 20 + ((struct.unpack_from('<I', data, 20)[0] + 3) & ~3)
                    text += '+' + data[at:length].hex()[:160]
        out.append(text)
        if length < 16:
            break
        data = data[(length + 3) & ~3:]
    if data:
        out.append('rest ' + str(len(data)))
    return ' '.join(out)


# --- memory that calls point at

keep = []


def buffer(data):
    b = ctypes.create_string_buffer(bytes(data), max(len(data), 1))
    keep.append(b)
    if len(keep) > 64:
        del keep[:32]
    return b


def where(b):
    return ctypes.addressof(b)


def some_address(bound):
    """Bytes of a sockaddr_nl and the length told."""
    family = AF if r.random() < .9 else pick(0, 1, 2, 17, 0xffff)
    pid = pick(0, 0, 0, PID, 7, 8, 9, 0x80000001) if bound else pick(0, 0, 0, 0, 7, 8, PID, 0x1234567)
    groups = pick(0, 0, 0, 1, 2, 3, 4, 8, 0x10, 0x1f, 0xff, 0x200, 0x80000000, 0xffffffff) if bound else pick(0, 0, 0, 0, 0, 1, 4, 0x400)
    data = struct.pack('<HHII', family, pick(0, 0, 0, 5), pid, groups) + bytes(116)
    length = 12 if r.random() < .85 else pick(0, 1, 2, 4, 8, 11, 13, 16, 128, 129, 0xffffffff)
    return data, length


def pointer(data):
    return where(buffer(data))


fds = {}        # number that we give -> descriptor
number = 0


def add(fd):
    global number
    number += 1
    fds[number] = fd
    libc.syscall(ctypes.c_long(72), ctypes.c_void_p(fd), ctypes.c_void_p(4), ctypes.c_void_p(0o4000))
    return number


def open_socket():
    kind = pick(3, 3, 3, 2, 2, 1, 5, 4, 0, 11) | pick(0, 0, 0, 0o4000, 0o2000000, 0o2004000, 0x1000000)
    result = call('socket', AF, kind, XFRM)
    if isinstance(result, int):
        return 'socket %x: s%d' % (kind, add(result))
    return 'socket %x: %s' % (kind, result)


def do_bind(n, fd):
    data, length = some_address(True)
    return 'bind %s %d: %s' % (address(data[:12]), length, call('bind', fd, pointer(data), length))


def do_connect(n, fd):
    data, length = some_address(False)
    if r.random() < .6:
        return 'connect none'
    return 'connect %s %d: %s' % (address(data[:12]), length, call('connect', fd, pointer(data), length))


def do_name(n, fd):
    which = pick('getsockname', 'getsockname', 'getpeername')
    size = pick(12, 12, 12, 0, 1, 2, 4, 11, 20, 128, 0xffffffff, 0x7fffffff)
    b, l = buffer(b'\xaa' * 130), buffer(struct.pack('<I', size))
    result = call(which, fd, where(b), where(l) if r.random() < .97 else 0)
    told = struct.unpack('<I', l.raw[:4])[0]
    return '%s %d: %s %d %s' % (which, size, result, told, address(b.raw[:12]) if 12 <= size < 200 else b.raw[:min(size, 4) if size < 12 else 0].hex())


BUFFERS, FILTERS = {7, 8, 32, 33}, {26, 27, 43, 44, 50, 51, 52, 60}
TIMES, LATER = {29, 35, 37, 63, 64, 65}, {74, 76, 82, 83}        # which a unix socket tells; which a 6.12 knows otherwise or not
SETTABLE = [o for o in range(84) if o not in BUFFERS | FILTERS | TIMES | LATER | {34, 40, 75}]
READABLE = [o for o in range(84) if o not in {7, 8} | TIMES | LATER | {55, 56, 57, 71}]


def do_set(n, fd):
    if r.random() < .6:
        level, option = SOL, r.randint(0, 14)
    elif r.random() < .85:
        level, option = 1, r.choice(SETTABLE)
    else:
        level, option = pick(0, 6, 17, 41, 255, 263, 271), r.randint(0, 40)
    size = pick(4, 4, 4, 4, 4, 4, 0, 1, 2, 3, 8, 16, 0xffffffff)
    value = struct.pack('<I', pick(0, 1, 1, 1, 2, 3, 8, 9, 10, 12, 32, 33, 64, 0xffffffff)) + bytes(12)
    return 'setsockopt %d %d %s %d: %s' % (level, option, value[:4].hex(), size, call('setsockopt', fd, level, option, pointer(value), size))


def do_get(n, fd):
    if r.random() < .6:
        level, option = SOL, r.randint(0, 14)
    elif r.random() < .9:
        level, option = 1, r.choice(READABLE)
    else:
        level, option = pick(0, 6, 17, 41, 255, 271), r.randint(0, 40)
    size = pick(4, 4, 4, 4, 4, 8, 0, 1, 2, 3, 12, 16, 64, 0xffffffff)
    b, l = buffer(b'\xaa' * 256), buffer(struct.pack('<I', size))
    result = call('getsockopt', fd, level, option, where(b), where(l))
    told = struct.unpack('<I', l.raw[:4])[0]
    text = b.raw[:min(told, 32)].hex() if result == 0 else ''
    return 'getsockopt %d %d %d: %s %d %s' % (level, option, size, result, told, text)


def some_control():
    k = r.random()
    if k < .8:
        return b''
    if k < .87:
        return struct.pack('<QiiIIIxxxx', 28, 1, 2, *pick((PID, 0, 0), (NOBODY, 0, 0), (PID, 5, 5), (1, 0, 0)))
    if k < .92:
        return struct.pack('<QiiI4x', 20, 1, 1, pick(0, 1, 2, 1000))
    if k < .96:
        return struct.pack('<Qii', pick(0, 8, 15, 16, 17, 1000), pick(0, 1, 270), pick(1, 2, 3, 99)) + bytes(16)
    return r.randbytes(r.randint(1, 40))


def header(iov, data=b'', length=0, control=b'', flags=0):
    parts = b''.join(struct.pack('<QQ', a, l) for a, l in iov)
    c = buffer(control) if control else None
    return buffer(struct.pack('<QIxxxxQQQQIxxxx', data, length, where(buffer(parts)) if parts else 0, len(iov), where(c) if c else 0, len(control), flags)), c


def split(data):
    b = buffer(data)
    cuts = sorted(r.randint(0, len(data)) for _ in range(pick(0, 0, 0, 1, 2)))
    edges = [0, *cuts, len(data)]
    iov = [(where(b) + x, y - x) for x, y in zip(edges, edges[1:])]
    return iov


SEND_FLAGS = [0x40] * 12 + [0x4040, 0x41, 0x44, 0x8040, 0x840, 0x20000040, 0x80000040, 0xc0, 0x42, 0x4000040]


def do_send(n, fd):
    k = r.random()
    data = datagram()
    told = (brief(data) or str(len(data)))
    flags = r.choice(SEND_FLAGS)
    if k < .2:
        return 'send %x %s: %s' % (flags, told, call('sendto', fd, pointer(data), len(data), flags, 0, 0))
    if k < .4:
        a, length = some_address(False)
        return 'sendto %x %s %s %d: %s' % (flags, told, address(a[:12]), length, call('sendto', fd, pointer(data), len(data), flags, pointer(a), length))
    if k < .8:
        a, length = some_address(False)
        if r.random() < .3:
            a, length = b'', 0
        control = some_control()
        h, _ = header(split(data), pointer(a) if a else 0, length, control)
        return 'sendmsg %x %s %s %d %s: %s' % (flags, told, address(a[:12]), length, control_text(control), call('sendmsg', fd, where(h), flags))
    if k < .87:
        iov = split(data)
        return 'writev %d %s: %s' % (len(iov), told, call('writev', fd, where(buffer(b''.join(struct.pack('<QQ', *i) for i in iov))), len(iov)))
    if k < .93:
        return 'write %s: %s' % (told, call('write', fd, pointer(data), len(data)))
    messages, texts = b'', []
    for _ in range(r.randint(1, 3)):
        data = datagram()
        texts.append(brief(data) or str(len(data)))
        a, length = some_address(False)
        h, _ = header(split(data), pointer(a), length)
        messages += h.raw[:56] + b'\xaa' * 8
    b = buffer(messages)
    result = call('sendmmsg', fd, where(b), len(messages) // 64, flags)
    return 'sendmmsg %x %s: %s %s' % (flags, ' | '.join(texts), result, [b.raw[i * 64 + 56:i * 64 + 60].hex() for i in range(len(messages) // 64)])


RECEIVE_FLAGS = [0x40] * 10 + [0x42, 0x42, 0x60, 0x62, 0x41, 0x2040, 0x140, 0x40000040, 0x80000040, 0x10040]


def taken(result, raw):
    return ('%d %s' % (result, brief(raw[:min(result, len(raw))])) if isinstance(result, int) else str(result))


def do_receive(n, fd):
    k = r.random()
    size = pick(65536, 65536, 65536, 8192, 4096, 1024, 256, 100, 36, 20, 16, 8, 1, 0)
    flags = r.choice(RECEIVE_FLAGS)
    b = buffer(b'\xaa' * size)
    bad = r.random() < .02
    at = where(b) if not bad else 8
    if k < .25:
        return 'recv %x %d%s: %s' % (flags, size, ' bad' if bad else '', taken(call('recvfrom', fd, at, size, flags, 0, 0), b.raw if size else b''))
    if k < .45 and not bad:
        length = pick(12, 12, 12, 0, 4, 16, 128, 0xffffffff)
        a, l = buffer(b'\xaa' * 140), buffer(struct.pack('<I', length))
        result = call('recvfrom', fd, at, size, flags, where(a), where(l))
        return 'recvfrom %x %d %d: %s %d %s' % (flags, size, length, taken(result, b.raw if size else b''), struct.unpack('<I', l.raw[:4])[0], address(a.raw[:12]))
    if k < .85:
        length = pick(12, 12, 12, 0, 4, 16, 128)
        a = buffer(b'\xaa' * 140)
        room = pick(0, 0, 16, 20, 24, 40, 64, 200)
        iov = [(at, size)] if r.random() < .7 else [(at, min(size, 10)), (at + min(size, 10), size - min(size, 10))]
        h, c = header(iov, where(a) if r.random() < .9 and not bad else 0, length, b'\xaa' * room, pick(0, 0xffff))
        result = call('recvmsg', fd, where(h), flags)
        after = struct.unpack('<QIxxxxQQQQIxxxx', h.raw[:56])
        control = control_text(c.raw[:min(after[5], room)]) if c else ''
        return 'recvmsg %x %d%s %d %d %d: %s name %d %s control %d %s flags %x' % (flags, size, ' bad' if bad else '', len(iov), length, room, taken(result, b.raw if size else b''), after[1], address(a.raw[:12]), after[5], control, after[6])
    if k < .9:
        return 'read %d%s: %s' % (size, ' bad' if bad else '', taken(call('read', fd, at, size), b.raw if size else b''))
    if k < .95:
        iov = buffer(struct.pack('<QQQQ', at, min(size, 20), at + min(size, 20), size - min(size, 20)))
        return 'readv %d%s: %s' % (size, ' bad' if bad else '', taken(call('readv', fd, where(iov), 2), b.raw if size else b''))
    bs, messages = [], b''
    for _ in range(r.randint(1, 3)):
        b = buffer(b'\xaa' * 4096)
        a = buffer(b'\xaa' * 16)
        h, _ = header([(where(b), 4096)], where(a), 12, b'', 0xffff)
        bs.append((b, a))
        messages += h.raw[:56] + bytes(8)
    m = buffer(messages)
    result = call('recvmmsg', fd, where(m), len(bs), flags, 0)
    lines = []
    for i in range(result if isinstance(result, int) else 0):
        raw = m.raw[i * 64:i * 64 + 64]
        got = struct.unpack_from('<I', raw, 56)[0]
        lines.append('%d %s %s %x' % (got, brief(bs[i][0].raw[:min(got, 4096)]), address(bs[i][1].raw[:12]), struct.unpack_from('<I', raw, 48)[0]))
    return 'recvmmsg %x %d: %s %s' % (flags, len(bs), result, ' | '.join(lines))


def do_poll(n, fd):
    mask = pick(1, 5, 4, 0xffff & ~0x20, 0, 0x2000, 2, 0x40, 0x100)
    b = buffer(struct.pack('<iHH', fd, mask, 0xaaaa))
    result = call('poll', where(b), 1, 0)
    return 'poll %x: %s %x' % (mask, result, struct.unpack_from('<H', b.raw, 6)[0])


def do_ioctl(n, fd):
    request = pick(0x541b, 0x5411, 0x5421, 0x8906, 0x8907, 0x8901, 0x8904, 0x8905, 0x1234, 0x5401, 0x89e0, 0x8910)
    b = buffer(struct.pack('<I', 1) + b'\xaa' * 60)
    result = call('ioctl', fd, request, where(b))
    return 'ioctl %x: %s %s' % (request, result, b.raw[:4].hex() if request in (0x541b, 0x5411) else '')


def do_misc(n, fd):
    what = pick('shutdown', 'listen', 'accept', 'accept4', 'fstat', 'lseek', 'fsync', 'ftruncate', 'pread64', 'pwrite64', 'getfl', 'getfd', 'setfl')
    b = buffer(b'\xaa' * 256)
    if what == 'shutdown':
        how = pick(0, 1, 2, 3, 99)
        return 'shutdown %d: %s' % (how, call('shutdown', fd, how))
    if what == 'listen':
        return 'listen: %s' % call('listen', fd, 5)
    if what == 'accept':
        return 'accept: %s' % call('accept', fd, 0, 0)
    if what == 'accept4':
        return 'accept4: %s' % call('accept4', fd, 0, 0, pick(0, 0o4000, 1))
    if what == 'fstat':
        result = call('fstat', fd, where(b))
        return 'fstat: %s %x %d' % (result, struct.unpack_from('<I', b.raw, 24)[0], struct.unpack_from('<Q', b.raw, 48)[0])
    if what == 'lseek':
        return 'lseek: %s' % call('lseek', fd, 0, 0)
    if what == 'fsync':
        return 'fsync: %s' % call('fsync', fd)
    if what == 'ftruncate':
        return 'ftruncate: %s' % call('ftruncate', fd, 0)
    if what == 'pread64':
        return 'pread64: %s' % call('pread64', fd, where(b), 10, 0)
    if what == 'pwrite64':
        return 'pwrite64: %s' % call('pwrite64', fd, where(b), 10, 0)
    if what == 'getfl':
        return 'F_GETFL: %s' % call('fcntl', fd, 3, 0)
    if what == 'setfl':
        flags = 0o4000 | pick(0, 0o2000, 0o20000, 0o40000)
        return 'F_SETFL %o: %s' % (flags, call('fcntl', fd, 4, flags))
    return 'F_GETFD: %s' % call('fcntl', fd, 1, 0)


def do_copy(n, fd):
    result = call('dup', fd) if r.random() < .5 else call('fcntl', fd, pick(0, 1030), 0)
    if not isinstance(result, int):
        return 'dup: %s' % result
    return 'dup: s%d' % add(result)


def do_close(n, fd):
    del fds[n]
    return 'close: %s' % call('close', fd)


WEIGHTS = [(do_send, 30), (do_receive, 34), (do_bind, 7), (do_name, 6), (do_set, 8), (do_get, 5), (do_connect, 2), (do_poll, 6), (do_ioctl, 2), (do_misc, 3), (do_copy, 1), (do_close, 3)]
calls = [c for c, w in WEIGHTS for _ in range(w)]
for step in range(count):
    if len(fds) < 2 or (len(fds) < 6 and r.random() < .05):
        print(step, open_socket(), flush=True)
        continue
    n = r.choice(list(fds))
    c = r.choice(calls)
    print(step, 's%d' % n, c(n, fds[n]), flush=True)
