"""What af_netlink.c promises, asked of NETLINK_XFRM by ordinary system calls. Prints one line a probe: the same on any Linux.

Run it in a network namespace of its own: on the kernel, and attached to xfrmd. Nothing here needs a transform."""
import array, ctypes, errno, fcntl, os, select, signal, socket, struct, sys, termios, threading, time

from netlink_messages import msg, policy, policy_id, selector

AF, XFRM, SOL = 16, 6, 270
ADD, DROP, PKTINFO, BCERR, NOENOBUFS, ALLNSID, LISTM, CAPACK, EXTACK, STRICT = 1, 2, 3, 4, 5, 8, 9, 10, 11, 12
NEWPOLICY, DELPOLICY, GETPOLICY, GETSADINFO, FLUSHPOLICY, GETSA, GETDEFAULT = 19, 20, 21, 35, 29, 18, 40
REQ, ACK, ROOT, MATCH, DUMP = 1, 4, 0x100, 0x200, 0x300
libc = ctypes.CDLL(None, use_errno=True)
ports = {}


def name(e):
    return errno.errorcode.get(e, str(e))


def say(what, *values):
    print(what + ':', *values, flush=True)


def attempt(call, *arguments):
    try:
        return call(*arguments)
    except OSError as e:
        return name(e.errno)


def sock(groups=0, pid=0, kind=socket.SOCK_RAW, bind=True):
    s = socket.socket(AF, kind, XFRM)
    if bind:
        s.bind((pid, groups))
    return s


def port(p):
    """Port ids as a reader sees them: the process's, the kernel's, a large one."""
    return '0' if p == 0 else 'pid' if p == os.getpid() else 'parent' if p == os.getppid() else 'negative' if p >= 0x80000000 else str(p)


def parts(data):
    while len(data) >= 16:
        length, kind, flags, seq, pid = struct.unpack_from('<IHHII', data)
        yield kind, flags, seq, pid, data[16:length]
        data = data[(length + 3) & ~3:]


def brief(data):
    if isinstance(data, str):
        return data
    out = []
    for kind, flags, seq, pid, body in parts(data):
        text = '%d/%x/%d/%s' % (kind, flags, seq, port(pid))
        if kind in (2, 3):
            text += '/%s/%d' % (name(-struct.unpack_from('<i', body)[0]), len(body))
        out.append(text)
    return ' '.join(out) if out else repr(data)


def receive(s, size=65536, flags=0):
    return attempt(s.recv, size, flags | socket.MSG_DONTWAIT)


def drain(s):
    out = []
    while True:
        got = receive(s)
        if isinstance(got, str):
            return out if got == 'EAGAIN' else out + [got]
        out.append(brief(got))


def ask(s, data):
    sent = attempt(s.send, data)
    return [sent] + drain(s) if isinstance(sent, str) else drain(s)


def raw_option(s, option, size, level=SOL):
    """getsockopt with any length: error or length and bytes."""
    buffer, length = (ctypes.c_ubyte * 64)(*[0xee] * 64), ctypes.c_int(size)
    if libc.getsockopt(s.fileno(), level, option, buffer, ctypes.byref(length)):
        return name(ctypes.get_errno())
    return '%d %s' % (length.value, bytes(buffer[:max(0, min(8, size))]).hex())


def raw_set(s, option, data, level=SOL, size=None):
    if libc.setsockopt(s.fileno(), level, option, data, len(data) if size is None else size):
        return name(ctypes.get_errno())
    return 'ok'


def ports_and_names():
    s = sock(bind=False)
    say('unbound name', s.getsockname())
    say('peer name', attempt(s.getpeername))
    say('bind', attempt(s.bind, (0, 0)), port(s.getsockname()[0]))
    say('bind again 0', attempt(s.bind, (0, 0)))
    say('bind again same', attempt(s.bind, (s.getsockname()[0], 3)), s.getsockname()[1])
    say('bind again other', attempt(s.bind, (4711, 0)))
    t = sock()
    say('second port', port(t.getsockname()[0]))
    say('chosen port', port(sock(pid=123456).getsockname()[0]))
    u = sock(pid=5555)
    say('taken port', attempt(sock, 0, 5555))
    u.close()
    say('free again', isinstance(sock(pid=5555), socket.socket))
    s.close()
    say('process port free again', port(sock().getsockname()[0]))
    w = sock(bind=False)
    w.send(msg(GETSADINFO, bytes(4)))
    say('bound by sending', w.getsockname()[0] != 0)
    c = sock(bind=False)
    say('connect', attempt(c.connect, (0, 0)), c.getsockname()[0] != 0, c.getpeername())
    say('connect port', attempt(c.connect, (77, 5)), c.getpeername())
    say('send to nobody', attempt(c.send, msg(GETSADINFO, bytes(4))))
    say('connect wrong family', raw_call('connect', c, struct.pack('<HHII', 2, 0, 0, 0)))
    say('connect short', raw_call('connect', c, struct.pack('<HHI', 16, 0, 0)), raw_call('connect', c, b'\x10'))
    say('disconnect', raw_call('connect', c, struct.pack('<HHII', 0, 0, 0, 0)), c.getpeername())
    say('disconnect short', raw_call('connect', c, struct.pack('<H', 0)))
    b = sock(bind=False)
    say('bind wrong family', raw_call('bind', b, struct.pack('<HHII', 2, 0, 0, 0)))
    say('bind short', raw_call('bind', b, struct.pack('<HHI', 16, 0, 0)))
    say('bind long', raw_call('bind', b, struct.pack('<HHII', 16, 9, 0, 0) + bytes(8)))
    say('bind longer than any', raw_call('bind', b, bytes(129)))
    for size in (0, 1, 4, 11, 12, 13, 100):
        buffer, length = (ctypes.c_ubyte * 128)(*[0xee] * 128), ctypes.c_uint(size)
        result = libc.getsockname(t.fileno(), buffer, ctypes.byref(length))
        say('getsockname room %d' % size, result, length.value, bytes(buffer[:4]).hex() if size >= 4 else bytes(buffer[:size]).hex())
    length = ctypes.c_int(-1)
    say('getsockname room -1', libc.getsockname(t.fileno(), (ctypes.c_ubyte * 16)(), ctypes.byref(length)), name(ctypes.get_errno()))


def raw_call(call, s, address):
    return 'ok' if getattr(libc, call)(s.fileno(), address, len(address)) == 0 else name(ctypes.get_errno())


def kinds():
    for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_RDM):
        say('kind %d' % kind, isinstance(attempt(socket.socket, AF, kind, XFRM), socket.socket) or attempt(socket.socket, AF, kind, XFRM))
    for flags in (socket.SOCK_CLOEXEC, socket.SOCK_NONBLOCK, socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK):
        s = socket.socket(AF, socket.SOCK_RAW | flags, XFRM)
        raw = libc.socket(AF, socket.SOCK_RAW | flags, XFRM)
        say('flags %x' % flags, fcntl.fcntl(raw, fcntl.F_GETFD), fcntl.fcntl(raw, fcntl.F_GETFL) & os.O_NONBLOCK)
        os.close(raw)
        s.close()
    say('odd flags', libc.socket(AF, socket.SOCK_RAW | 0x100, XFRM), name(ctypes.get_errno()))
    s = sock(kind=socket.SOCK_DGRAM)
    for option in ('SO_TYPE', 'SO_DOMAIN', 'SO_PROTOCOL', 'SO_ERROR', 'SO_ACCEPTCONN', 'SO_PASSCRED', 'SO_BROADCAST', 'SO_REUSEADDR', 'SO_TIMESTAMP', 'SO_PRIORITY', 'SO_MARK'):
        number = {'SO_PROTOCOL': 38, 'SO_DOMAIN': 39, 'SO_TIMESTAMP': 29}.get(option) or getattr(socket, option)
        say(option, raw_option(s, number, 4, socket.SOL_SOCKET), raw_option(s, number, 2, socket.SOL_SOCKET))
    say('listen', attempt(s.listen, 1))
    say('accept', libc.accept(s.fileno(), None, None), name(ctypes.get_errno()))
    for how in (0, 1, 2, 3):
        say('shutdown %d' % how, libc.shutdown(s.fileno(), how) and name(ctypes.get_errno()))
    say('works after shutdown', ask(s, msg(GETSADINFO, bytes(4))))


def options():
    s = sock()
    for option in list(range(0, 15)) + [100, -1]:
        say('get %d' % option, *[raw_option(s, option, size) for size in (4, 8, 3, 0, -1)])
    for option in (PKTINFO, BCERR, NOENOBUFS, ALLNSID, CAPACK, EXTACK, STRICT, 6, 7, 13, 99):
        for value in (b'\1\0\0\0', b'\xff\xff\xff\xff', b'\1', b'', b'\1\0\0\0\0\0\0\0'):
            say('set %d %s' % (option, value.hex()), raw_set(s, option, value), raw_option(s, option, 4))
        raw_set(s, option, bytes(4))
    say('set null', libc.setsockopt(s.fileno(), SOL, CAPACK, None, 4) and name(ctypes.get_errno()))
    say('set negative', libc.setsockopt(s.fileno(), SOL, CAPACK, b'\1\0\0\0', -1) and name(ctypes.get_errno()))
    say('get null length', libc.getsockopt(s.fileno(), SOL, CAPACK, (ctypes.c_ubyte * 4)(), None) and name(ctypes.get_errno()))
    for level in (0, 6, 17, 41, 255, 271):
        say('level %d' % level, raw_option(s, 1, 4, level), raw_set(s, 1, b'\1\0\0\0', level))


def groups():
    s = sock()
    for value in (0, 1, 8, 9, 10, 31, 32, 33, 64, 1000, -1, 0x7fffffff):
        say('join %d' % value, raw_set(s, ADD, struct.pack('<i', value)), raw_option(s, LISTM, 4), s.getsockname()[1])
    for value in (0, 1, 2, 9, 32, 33, -1):
        say('leave %d' % value, raw_set(s, DROP, struct.pack('<i', value)), raw_option(s, LISTM, 4))
    say('join short', raw_set(s, ADD, b'\1'), raw_set(s, ADD, b''))
    for size in (0, 1, 4, 8, 12, 16, 64):
        say('list %d' % size, raw_option(s, LISTM, size))
    for mask in (1, 3, 0xff, 0x1ff, 0x3ff, 0x80000000, 0xffffffff):
        t = sock(bind=False)
        say('bind groups %x' % mask, attempt(t.bind, (0, mask)), t.getsockname()[1], raw_option(t, LISTM, 8))
    t = sock(2)
    say('bind replaces', attempt(t.bind, (t.getsockname()[0], 8)), t.getsockname()[1])
    listener = sock(bind=False)
    listener.bind((0, 1 << 3))
    say('event', ask(s, policy(1)), drain(listener))
    raw_set(listener, DROP, struct.pack('<i', 4))
    say('no event', ask(s, policy(2)), drain(listener))
    raw_set(s, ADD, struct.pack('<i', 4))
    say('own event first', ask(s, policy(3, seq=9)))
    m = sock()
    raw_set(m, ADD, struct.pack('<i', 4))
    ask(s, policy(4))
    data, ancillary, flags, address = m.recvmsg(4096, 1024)
    say('event address', brief(data), address, flags)
    ask(s, policy_id(DELPOLICY, 4))
    say('event address of recvfrom', m.recvfrom(4096)[1])
    ask(s, msg(FLUSHPOLICY))


def datagrams():
    s, x = sock(), sock()
    raw_set(x, EXTACK, b'\1\0\0\0')
    for each in (s, x):
        say('acknowledged', ask(each, msg(GETSADINFO, bytes(4))))
        say('not acknowledged', ask(each, msg(GETSADINFO, bytes(4), REQ)))
        say('two', ask(each, msg(GETSADINFO, bytes(4), seq=5) + msg(GETSADINFO, bytes(4), seq=6)))
        say('first fails', ask(each, policy_id(GETPOLICY, 99, seq=7) + msg(GETSADINFO, bytes(4), seq=8)))
        say('no request', ask(each, msg(GETSADINFO, bytes(4), 0)), ask(each, msg(GETSADINFO, bytes(4), ACK)))
        say('control', [ask(each, msg(k, b'', REQ | ACK)) for k in (0, 1, 2, 3, 15)])
        say('beyond', [ask(each, msg(k, bytes(300), REQ | ACK)) for k in (41, 42, 48, 200, 65535)])
        say('short body', [ask(each, msg(GETSADINFO, bytes(n))) for n in (0, 3)])
        for cut in (1, 15, 16, 17, 19):
            say('cut %d' % cut, ask(each, msg(GETSADINFO, bytes(4))[:cut]))
        say('length too small', ask(each, msg(GETSADINFO, bytes(4), length=15)), ask(each, msg(GETSADINFO, bytes(4), length=0)))
        say('length too large', ask(each, msg(GETSADINFO, bytes(4), length=21)))
        say('trailing', ask(each, msg(GETSADINFO, bytes(4)) + b'\1\2\3'))
        say('padding between', ask(each, msg(GETSADINFO, bytes(5), length=21) + msg(GETSADINFO, bytes(4), seq=3)))
        say('empty', attempt(each.send, b''))
    for cap, ext in ((1, 0), (0, 1), (1, 1)):
        t = sock()
        raw_set(t, CAPACK, struct.pack('<i', cap))
        raw_set(t, EXTACK, struct.pack('<i', ext))
        say('refused %d%d' % (cap, ext), ask(t, policy_id(GETPOLICY, 99)), ask(t, policy(1, tail=bytes(3))), ask(t, msg(NEWPOLICY, bytes(8))))
        say('refused text %d%d' % (cap, ext), (t.send(policy(1)[:100]), receive(t))[1:] and '')
        t.send(msg(NEWPOLICY, bytes(168)))
        got = receive(t)
        say('text %d%d' % (cap, ext), got[20:].hex()[32:] if ext else len(got))
        say('odd attribute %d%d' % (cap, ext), (t.send(policy(1, tail=struct.pack('<HHI', 6, 21, 0))), receive(t)[36:].hex())[1][-160:])
    big = sock()
    say('longest', ask(big, b''.join(msg(GETSADINFO, bytes(4), REQ) for _ in range(3))) and attempt(big.send, msg(GETSADINFO, bytes(4)) + bytes(100000)))
    drain(big)
    say('too long', attempt(big.send, bytes(1 << 20)))
    big.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1000)
    say('small SO_SNDBUF', big.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), attempt(big.send, bytes(4500)), attempt(big.send, bytes(4600)))
    ask(s, msg(FLUSHPOLICY))


def destinations():
    s, t = sock(), sock()
    other = t.getsockname()[0]
    data = msg(GETSADINFO, bytes(4), REQ, seq=4)
    say('to kernel', s.sendto(data, (0, 0)), drain(s))
    say('to a program', attempt(s.sendto, data, (other, 0)), drain(s), drain(t))
    say('to nobody', attempt(s.sendto, data, (987654, 0)))
    reached = set()
    for _ in range(100):
        sock(pid=876543).close()
        reached.add(attempt(s.sendto, data, (876543, 0)))
    say('to one just closed', reached)
    say('to itself', attempt(s.sendto, data, (s.getsockname()[0], 0)), drain(s))
    s.sendto(data, (other, 0))
    say('who sent', port(t.recvfrom(4096)[1][0]) == port(s.getsockname()[0]))
    raw_set(t, ADD, struct.pack('<i', 2))
    say('to a group', attempt(s.sendto, data, (0, 2)), [brief(x) for x in drain(s)], drain(t))
    say('to an empty group', attempt(s.sendto, data, (0, 0x80)), drain(s))
    say('wrong family', raw_sendto(s, data, struct.pack('<HHII', 2, 0, 0, 0)))
    say('short address', raw_sendto(s, data, struct.pack('<HHI', 16, 0, 0)))
    say('long address', raw_sendto(s, data, struct.pack('<HHII', 16, 0, 0, 0) + bytes(20)), drain(s))
    say('out of band', attempt(s.send, data, socket.MSG_OOB))
    say('sendmsg', s.sendmsg([data[:7], data[7:]]), drain(s))
    say('sendmsg control', attempt(s.sendmsg, [data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))]), drain(s))
    say('sendmsg wrong control', attempt(s.sendmsg, [data], [(socket.SOL_SOCKET, 99, b'1234')]), drain(s))
    say('write', os.write(s.fileno(), data), drain(s))
    say('writev', os.writev(s.fileno(), [data[:3], data[3:16], data[16:]]), drain(s))
    say('flags', [attempt(s.send, data, f) for f in (socket.MSG_DONTWAIT, socket.MSG_NOSIGNAL, 0x8000)], drain(s))


def raw_sendto(s, data, address):
    result = libc.sendto(s.fileno(), data, len(data), 0, address, len(address))
    return name(ctypes.get_errno()) if result < 0 else result


class Iovec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [('name', ctypes.c_void_p), ('namelen', ctypes.c_uint), ('iov', ctypes.POINTER(Iovec)), ('iovlen', ctypes.c_size_t),
                ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t), ('flags', ctypes.c_int)]


class Mmsghdr(ctypes.Structure):
    _fields_ = [('hdr', Msghdr), ('len', ctypes.c_uint)]


def vector(n, size, names=True):
    headers, keep = (Mmsghdr * n)(), []
    for h in headers:
        data, address, iov = ctypes.create_string_buffer(size), ctypes.create_string_buffer(b'\xee' * 32, 32), Iovec()
        iov.base, iov.len = ctypes.addressof(data), size
        h.hdr.iov, h.hdr.iovlen = ctypes.pointer(iov), 1
        if names:
            h.hdr.name, h.hdr.namelen = ctypes.addressof(address), 32
        keep.append((data, address, iov))
    return headers, keep


def receiving():
    s = sock()
    data = msg(GETSADINFO, bytes(4), REQ)
    say('nothing there', receive(s))
    s.settimeout(0.05)
    say('timeout', type(attempt_timeout(s)).__name__)
    s.settimeout(None)
    s.send(data)
    say('peek', brief(receive(s, 65536, socket.MSG_PEEK)), brief(receive(s)))
    s.send(data)
    say('peek length', recv_length(s, 0, socket.MSG_PEEK | socket.MSG_TRUNC), recv_length(s, 20, socket.MSG_TRUNC), receive(s))
    s.send(data)
    say('truncated', recv_length(s, 20, 0), receive(s))
    s.send(data)
    got = s.recvmsg(20, 100)
    say('truncated flags', len(got[0]), got[1], got[2], got[3])
    s.send(data)
    got = s.recvmsg(200, 100)
    say('flags', len(got[0]), got[1], got[2], got[3])
    s.send(data)
    say('read', brief(os.read(s.fileno(), 4096)))
    s.send(data)
    buffers = [bytearray(7), bytearray(100)]
    say('readv', os.readv(s.fileno(), buffers))
    s.send(data)
    say('recvfrom', s.recvfrom(4096)[1])
    for size in (0, 4, 12, 30):
        s.send(data)
        address, length = ctypes.create_string_buffer(b'\xee' * 40, 40), ctypes.c_uint(size)
        n = libc.recvfrom(s.fileno(), ctypes.create_string_buffer(4096), 4096, 0, address, ctypes.byref(length))
        say('recvfrom room %d' % size, n, length.value, address.raw[:14].hex())
    s.send(data)
    address, length = ctypes.create_string_buffer(40), ctypes.c_uint()
    for size in (12, 0, 4):     # a look has told the address where another then has no room
        address[:14], length.value = b'\xee' * 14, size
        n = libc.recvfrom(s.fileno(), ctypes.create_string_buffer(4096), 4096, socket.MSG_PEEK, address, ctypes.byref(length))
        say('peek room %d' % size, n, length.value, address.raw[:14].hex())
    drain(s)
    s.send(data)
    say('oob', receive(s, 100, socket.MSG_OOB), drain(s))
    for i in range(5):
        s.send(msg(GETSADINFO, bytes(4), REQ, seq=i))
    headers, keep = vector(3, 4096)
    n = libc.recvmmsg(s.fileno(), headers, 3, socket.MSG_DONTWAIT, None)
    say('recvmmsg', n, [(h.len, h.hdr.namelen, k[1].raw[:13].hex(), brief(k[0].raw[:h.len])) for h, k in zip(headers, keep)])
    n = libc.recvmmsg(s.fileno(), headers, 3, socket.MSG_DONTWAIT, None)
    say('recvmmsg rest', n, [h.len for h in headers][:2], libc.recvmmsg(s.fileno(), headers, 3, socket.MSG_DONTWAIT, None), name(ctypes.get_errno()))
    headers, keep = vector(3, 20, names=False)
    for i, (h, k) in enumerate(zip(headers, keep)):
        ctypes.memmove(k[0], msg(GETSADINFO, bytes(4), REQ, seq=i), 20)
    say('sendmmsg', libc.sendmmsg(s.fileno(), headers, 3, 0), [h.len for h in headers], drain(s))
    member, writer = sock(1 << 3), sock()
    for how in ('recvfrom', 'recvmsg', 'recvmmsg', 'peek'):
        writer.send(policy(1, flags=REQ))
        member.send(data)
        writer.send(policy_id(DELPOLICY, 1, flags=REQ))
        if how == 'recvmmsg':
            headers, keep = vector(3, 4096)
            libc.recvmmsg(member.fileno(), headers, 3, socket.MSG_DONTWAIT, None)
            names = [k[1].raw[:12].hex() for k in keep]
        else:
            names = [member.recvfrom(4096)[1] if how == 'recvfrom' else member.recvmsg(4096)[3] if how == 'recvmsg' else
                     (member.recvfrom(4096, socket.MSG_PEEK)[1], member.recvfrom(4096)[1]) for _ in range(3)]
        say('sources by ' + how, names)
    flag = array.array('i', [-1])
    s.send(data)
    say('FIONREAD', attempt(fcntl.ioctl, s.fileno(), termios.FIONREAD, flag) , flag[0])
    say('SIOCOUTQ', attempt(fcntl.ioctl, s.fileno(), termios.TIOCOUTQ, flag), flag[0])
    drain(s)
    say('ioctl', attempt(fcntl.ioctl, s.fileno(), termios.TCGETS, bytes(60)))


def recv_length(s, size, flags):
    result = libc.recv(s.fileno(), ctypes.create_string_buffer(max(size, 1)), size, flags | socket.MSG_DONTWAIT)
    return name(ctypes.get_errno()) if result < 0 else result


def attempt_timeout(s):
    try:
        return s.recv(100)
    except OSError as e:
        return e


def waiting():
    s = sock()
    p = select.poll()
    p.register(s, select.POLLIN | select.POLLOUT | select.POLLERR | select.POLLHUP)
    e = select.epoll()
    e.register(s, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
    say('poll idle', [x[1] for x in p.poll(0)], [x[1] for x in e.poll(0)], [len(x) for x in select.select([s], [s], [s], 0)])
    s.send(msg(GETSADINFO, bytes(4)))
    say('poll readable', [x[1] for x in p.poll(0)], [x[1] for x in e.poll(0)], [len(x) for x in select.select([s], [s], [s], 0)])
    drain(s)
    say('poll idle again', [x[1] for x in p.poll(0)])
    s.setblocking(False)
    say('non-blocking', attempt(s.recv, 10), attempt(os.read, s.fileno(), 10), attempt(s.recvfrom, 10), attempt(s.recvmsg, 10))
    s.setblocking(True)
    woken = []
    thread = threading.Thread(target=lambda: woken.append(brief(s.recv(4096))))
    thread.start()
    time.sleep(0.1)
    s.send(msg(GETSADINFO, bytes(4), REQ))
    thread.join(5)
    say('blocked reader', woken)
    member, writer = sock(1 << 2 | 1 << 3), sock()
    room = ctypes.c_uint(12)
    address, data = ctypes.create_string_buffer(b'\xee' * 16, 16), ctypes.create_string_buffer(4096)
    for how, call in (('recvfrom', lambda: member.recvfrom(4096)[1]), ('recvmsg', lambda: member.recvmsg(4096, 100)[1:]),
                      ('recvmmsg', lambda: raw_recvmmsg_name(member)),
                      ('peek', lambda: (member.recvfrom(4096, socket.MSG_PEEK)[1], member.recvfrom(4096)[1])),
                      ('raw', lambda: (libc.recvfrom(member.fileno(), data, 20, socket.MSG_TRUNC, address, ctypes.byref(room)), room.value, address.raw.hex()))):
        for sends in (lambda: writer.send(policy(1, flags=REQ)), lambda: writer.send(policy_id(DELPOLICY, 1, flags=REQ)),
                      lambda: member.send(msg(GETSADINFO, bytes(4), REQ)), lambda: writer.sendto(msg(3, b'', 0), (member.getsockname()[0], 0))):
            told = []
            thread = threading.Thread(target=lambda: told.append(call()))
            thread.start()
            time.sleep(0.03)
            sends()
            thread.join(5)
            text = str(told).replace(str(writer.getsockname()[0]), 'writer')
            say('source of what is waited for by ' + how, text.replace(struct.pack('<I', writer.getsockname()[0]).hex(), 'writer'))


def raw_recvmmsg_name(s):
    headers, keep = vector(1, 4096)
    return libc.recvmmsg(s.fileno(), headers, 1, 0, None), headers[0].len, keep[0][1].raw[:13].hex()


def queue():
    s, writer = sock(), sock()
    for value in (0, 1, 1000, 5000, 212992, 1 << 20):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, value)
        say('SO_RCVBUF %d' % value, s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, value)
        say('SO_SNDBUF %d' % value, s.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)
    say('SO_RCVBUFFORCE', s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
    for how in ('recv', 'recvfrom', 'recvmsg', 'read', 'readv', 'recvmmsg', 'SO_ERROR', 'poll'):
        t = sock(1 << 3)
        t.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for i in range(300):
            writer.send(policy(i, flags=REQ))
        drain(writer)
        p = select.poll()
        p.register(t, select.POLLIN)
        before = [x[1] for x in p.poll(0)] if how == 'poll' else None
        call = {'recv': lambda: t.recv(65536, socket.MSG_DONTWAIT), 'recvfrom': lambda: t.recvfrom(65536, socket.MSG_DONTWAIT)[0],
                'recvmsg': lambda: t.recvmsg(65536, 0, socket.MSG_DONTWAIT)[0], 'read': lambda: os.read(t.fileno(), 65536),
                'readv': lambda: os.readv(t.fileno(), [bytearray(65536)]), 'recvmmsg': lambda: raw_recvmmsg(t),
                'SO_ERROR': lambda: name(t.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)), 'poll': lambda: t.recv(65536, socket.MSG_DONTWAIT)}[how]
        first, second = attempt(call), attempt(lambda: t.recv(65536, socket.MSG_DONTWAIT))
        kind = lambda x: x if isinstance(x, str) else 'data'
        count = len(drain(t))
        say('overflow by ' + how, before, kind(first), kind(second), 'some' if 0 < count < 300 else count, receive(t))
        writer.send(msg(FLUSHPOLICY, b'', REQ))
        say('after it', [x for x in drain(t)])
        drain(writer)
        t.close()
    t = sock(1 << 3)
    raw_set(t, NOENOBUFS, b'\1\0\0\0')
    t.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for i in range(300):
        writer.send(policy(i, flags=REQ))
    got = drain(t)
    say('overflow without report', 'ENOBUFS' in got, 0 < len(got) < 300)
    raw_set(t, BCERR, b'\1\0\0\0')
    raw_set(t, NOENOBUFS, bytes(4))
    writer.send(msg(FLUSHPOLICY, b'', REQ))
    drain(writer), drain(t)
    sent = [attempt(writer.send, policy(i, flags=REQ | ACK)) for i in range(300)]
    say('broadcast error', sorted(set(x for x in sent if isinstance(x, str))), drain(writer)[:1])
    drain(t)
    t.close()
    writer.send(msg(FLUSHPOLICY, b'', REQ))
    small = sock()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    for i in range(40):
        small.send(msg(GETSADINFO, bytes(4), REQ, seq=i))
    got = drain(small)
    say('own answers overflow', 'ENOBUFS' in got, 0 < len(got) < 41)


def raw_recvmmsg(s):
    headers, keep = vector(2, 65536)
    if libc.recvmmsg(s.fileno(), headers, 2, socket.MSG_DONTWAIT, None) < 0:
        raise OSError(ctypes.get_errno(), 'recvmmsg')
    return b'data'


def dumps():
    s = sock()
    for i in range(60):
        s.send(policy(i, flags=REQ))
    drain(s)
    s.send(msg(GETPOLICY, bytes(64), REQ | DUMP, seq=3))
    sizes, kinds_, flags = [], set(), set()
    while True:
        data = s.recv(65536)
        sizes.append(len(data))
        for kind, fl, seq, pid, body in parts(data):
            kinds_.add((kind, fl, seq, port(pid)))
        if any(p[0] == 3 for p in parts(data)):
            break
    say('dump', len(sizes) > 2, sizes[-1], sorted(kinds_), max(sizes) <= 65536)
    for fl in (ROOT, MATCH, DUMP, DUMP | ACK, 0x400, 0x800):
        s.send(msg(GETPOLICY, bytes(64), REQ | fl, seq=4))
        got = drain(s)
        say('dump flags %x' % fl, got[-1], len([1 for x in ' '.join(got).split() if x.startswith('19/')]))
    s.send(msg(GETPOLICY, bytes(64), REQ | DUMP, seq=5))
    say('busy', brief(attempt_send_then(s, msg(GETPOLICY, bytes(64), REQ | DUMP, seq=6))))
    drain(s)
    s.send(msg(GETPOLICY, bytes(64), REQ | DUMP, seq=5) + msg(GETSADINFO, bytes(4), seq=6))
    say('request behind a dump', sorted(set(x for x in ' '.join(drain(s)).split() if not x.startswith('19/'))))
    s.send(msg(GETSA, bytes(24), REQ | DUMP, seq=5))
    say('empty dump', drain(s))
    t = sock()
    s.send(msg(GETPOLICY, bytes(64), REQ | DUMP, seq=5))
    first = s.recv(65536)
    for i in range(0, 60, 2):
        t.send(policy_id(DELPOLICY, i, flags=REQ))
    for i in range(100, 110):
        t.send(policy(i, flags=REQ))
    rest = drain(s)
    say('changed under a dump', rest[-1])
    t.send(msg(FLUSHPOLICY, b'', REQ))
    raw_set(t, STRICT, b'\1\0\0\0')
    say('strict', ask(t, msg(GETPOLICY, bytes(64) + b'\4\0\1\0', REQ | DUMP, seq=8)), ask(t, msg(GETSA, bytes(24), REQ | DUMP, seq=9)))
    c = sock()
    c.send(msg(GETPOLICY, bytes(64), REQ | DUMP, seq=5))
    c.close()
    say('closed within a dump', ask(t, msg(GETSADINFO, bytes(4))))


def attempt_send_then(s, data):
    s.send(data)
    out = b''
    while True:
        got = receive(s)
        if isinstance(got, str):
            return out
        for kind, flags, seq, pid, body in parts(got):
            if seq == 6:
                out += struct.pack('<IHHII', 16 + len(body), kind, flags, seq, pid) + body


def credentials():
    s = sock(1 << 3)
    writer = sock()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    writer.send(policy(1, flags=REQ))
    got = s.recvmsg(4096, 1024)
    say('credentials', [(level, kind, struct.unpack('<iII', data)[:1] if len(data) == 12 else data) for level, kind, data in got[1]], got[2], got[3])
    s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
    raw_set(s, PKTINFO, b'\1\0\0\0')
    writer.send(policy(2, flags=REQ))
    got = s.recvmsg(4096, 1024)
    say('packet info of an event', [(level, kind, data.hex()) for level, kind, data in got[1]])
    s.send(msg(GETSADINFO, bytes(4), REQ))
    got = s.recvmsg(4096, 1024)
    say('packet info of an answer', [(level, kind, data.hex()) for level, kind, data in got[1]])
    told = lambda got: (brief(got[0]), [(level, kind, data.hex()) for level, kind, data in got[1]], got[2], got[3])
    s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    for room in (0, 1, 15, 16, 18, 20, 24, 32, 40, 48, 52, 56, 100):
        s.send(msg(GETSADINFO, bytes(4), REQ))
        say('control room %d' % room, told(s.recvmsg(4096, room)))
    for flags in (socket.MSG_PEEK, socket.MSG_TRUNC, socket.MSG_PEEK | socket.MSG_TRUNC, socket.MSG_CMSG_CLOEXEC, socket.MSG_OOB, socket.MSG_WAITALL):
        s.send(msg(GETSADINFO, bytes(4), REQ))
        say('control flags %x' % flags, *[told(x) if isinstance(x, tuple) else x for x in (attempt(s.recvmsg, 20, 100, flags), attempt(s.recvmsg, 4096, 100, socket.MSG_DONTWAIT), attempt(s.recvmsg, 4096, 100, socket.MSG_DONTWAIT))])
    s.send(msg(GETSADINFO, bytes(4), REQ))
    buffers = [bytearray(7), bytearray(0), bytearray(100)]
    got = s.recvmsg_into(buffers, 100)
    say('control vectors', got[0], brief(bytes(buffers[0] + buffers[2])[:got[0]]), got[2])
    writer.sendto(msg(GETSADINFO, bytes(4)), (s.getsockname()[0], 0))
    got = s.recvmsg(4096, 1024)
    say('credentials of a program', [(level, kind, [port(data[0]), *data[1:]]) for level, kind, data in [(l, k, struct.unpack('<%di' % (len(d) // 4), d)) for l, k, d in got[1]]], port(got[3][0]) == port(writer.getsockname()[0]))
    raw_set(s, 20, struct.pack('<qq', 0, 50000), socket.SOL_SOCKET)     # SO_RCVTIMEO
    say('control timeout', attempt(s.recvmsg, 4096, 1024))
    woken = []
    for what, timeout in (('', 0), (' with a timeout', 20)):
        raw_set(s, 20, struct.pack('<qq', timeout, 0), socket.SOL_SOCKET)
        thread = threading.Thread(target=lambda: woken.append(told(s.recvmsg(4096, 1024))))
        thread.start()
        time.sleep(0.1)
        writer.send(policy(3 + timeout, flags=REQ))
        thread.join(10)
        say('control blocked' + what, woken)
        def stop(*_):
            raise KeyError
        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            say('control interrupted' + what, s.recvmsg(4096, 1024))
        except KeyError:
            say('control interrupted' + what)
    s.send(msg(GETSADINFO, bytes(4), REQ))
    say('control still', told(s.recvmsg(4096, 1024)))
    member = sock(1 << 3)
    raw_set(member, PKTINFO, b'\1\0\0\0')
    member.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for i in range(100, 400):
        writer.send(policy(i, flags=REQ))
    drain(writer)
    say('control overflow', attempt(member.recvmsg, 4096, 1024), told(member.recvmsg(4096, 1024)))
    writer.send(msg(FLUSHPOLICY, b'', REQ))


def descriptors():
    s = sock()
    own = port(s.getsockname()[0])
    d = socket.socket(fileno=os.dup(s.fileno()))
    say('dup name', port(d.getsockname()[0]) == own, ask(d, msg(GETSADINFO, bytes(4))))
    s.close()
    say('dup outlives', ask(d, msg(GETSADINFO, bytes(4))))
    d2 = os.dup2(d.fileno(), 9)
    e = socket.socket(fileno=fcntl.fcntl(d.fileno(), fcntl.F_DUPFD_CLOEXEC, 0))
    say('F_DUPFD_CLOEXEC', fcntl.fcntl(e.fileno(), fcntl.F_GETFD), ask(e, msg(GETSADINFO, bytes(4))))
    os.close(9)
    a, b = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            a.close()
            text, mine = repr(ask(d, msg(GETSADINFO, bytes(4), seq=77))), sock()
            socket.send_fds(b, [text.encode()], [mine.fileno()])
        finally:
            os._exit(0)
    b.close()
    text, fds, _, _ = socket.recv_fds(a, 4096, 1)
    os.waitpid(pid, 0)
    say('after fork', text.decode())
    p = socket.socket(AF, socket.SOCK_RAW, XFRM, fileno=fds[0])
    p.send(msg(GETSADINFO, bytes(4), REQ))
    p.settimeout(5)
    say('passed', [kind for kind, *_ in parts(p.recv(4096))])
    buffer, length = (ctypes.c_ubyte * 16)(), ctypes.c_uint(16)
    say('passed name', libc.getsockname(p.fileno(), buffer, ctypes.byref(length)), length.value, bytes(buffer[:2]).hex())
    say('stat', os.fstat(e.fileno()).st_mode & 0o170000 == 0o140000, os.readlink('/proc/self/fd/%d' % e.fileno()).startswith('socket:['))


def namespaces():
    s = sock(1 << 3)
    s.send(policy(1, flags=REQ))
    drain(s)
    old = os.open('/proc/self/ns/net', os.O_RDONLY)
    if libc.unshare(0x40000000):
        say('unshare', name(ctypes.get_errno()))
        return
    t = sock()
    say('new namespace is empty', ask(t, msg(GETPOLICY, bytes(64), REQ | DUMP)))
    t.send(policy(2, flags=REQ))
    say('old socket sees nothing of it', drain(s), len(' '.join(ask(s, msg(GETPOLICY, bytes(64), REQ | DUMP))).split()))
    libc.setns(old, 0x40000000)
    u = sock()
    say('back again', len(' '.join(ask(u, msg(GETPOLICY, bytes(64), REQ | DUMP))).split()), len(' '.join(ask(t, msg(GETPOLICY, bytes(64), REQ | DUMP))).split()))
    u.send(msg(FLUSHPOLICY, b'', REQ))


def other_namespaces():
    """NETLINK_LISTEN_ALL_NSID: what happens in namespaces that ours has a number for."""
    if libc.unshare(0x40000000):
        say('unshare', name(ctypes.get_errno()))
        return
    old = os.open('/proc/self/ns/net', os.O_RDONLY)

    def elsewhere(call, *arguments):
        libc.setns(other, 0x40000000)
        try:
            return call(*arguments)
        finally:
            libc.setns(old, 0x40000000)

    def numbered(handle, number):
        r = socket.socket(AF, socket.SOCK_RAW, 0)
        r.send(msg(88, struct.pack('<BxxxHHiHHI', 0, 8, 1, number, 8, 3, handle), seq=9))   # RTM_NEWNSID
        say('number %d' % number, brief(r.recv(4096)))

    def heard(s):
        out = []
        while True:
            try:
                data, control, flags, source = s.recvmsg(65536, 512, socket.MSG_DONTWAIT)
            except OSError as e:
                return out if e.errno == errno.EAGAIN else out + [name(e.errno)]
            out.append((brief(data), [(level, kind, data.hex().replace(struct.pack('<i', os.getpid()).hex(), 'pid')) for level, kind, data in control], flags, port(source[0]), source[1]))

    libc.unshare(0x40000000)
    other = os.open('/proc/self/ns/net', os.O_RDONLY)
    there = sock()
    libc.setns(old, 0x40000000)
    wide, narrow, deaf, here = sock(1 << 3), sock(1 << 3, 5001), sock(0, 5002), sock(0, 5003)
    say('all', raw_set(wide, ALLNSID, b'\1\0\0\0'), raw_set(deaf, ALLNSID, b'\1\0\0\0'))
    there.send(policy(1, flags=REQ))
    say('no number', heard(wide), heard(narrow), heard(deaf))
    numbered(other, 7)
    there.send(policy(2, flags=REQ))
    say('a number', heard(wide), heard(narrow), heard(deaf))
    raw_set(wide, PKTINFO, b'\1\0\0\0')
    raw_set(wide, socket.SO_PASSCRED, b'\1\0\0\0', socket.SOL_SOCKET)
    there.send(policy_id(DELPOLICY, 2, flags=REQ))
    here.send(policy(3, flags=REQ))
    say('and the group', heard(wide), heard(narrow))
    numbered(old, 9)
    here.send(policy_id(DELPOLICY, 3, flags=REQ))
    say('ourselves numbered', heard(wide), heard(narrow))
    say('the answers', heard(here))
    raw_set(wide, ADD, struct.pack('<i', 3))
    there.sendto(msg(FLUSHPOLICY, b'', 0, 3), (0, 1 << 3))
    say('sent by hand', heard(wide), heard(narrow))
    raw_set(wide, PKTINFO, bytes(4))
    raw_set(wide, socket.SO_PASSCRED, bytes(4), socket.SOL_SOCKET)
    raw_set(wide, ALLNSID, bytes(4))
    there.send(policy(4, flags=REQ))
    say('no longer', heard(wide), heard(narrow))
    raw_set(narrow, ALLNSID, b'\1\0\0\0')
    wait = threading.Timer(0.3, lambda: there.send(policy(5, flags=REQ)))
    wait.start()
    narrow.settimeout(10)
    data, control, flags, source = narrow.recvmsg(65536, 64)
    say('waited for', brief(data), [(level, kind, data.hex()) for level, kind, data in control], flags, source)
    wait.join()
    for s in (there, here):
        s.send(msg(FLUSHPOLICY, b'', REQ))
    drain(narrow)
    back = elsewhere(sock, 1 << 3)
    raw_set(back, ALLNSID, b'\1\0\0\0')
    here.send(policy(6, flags=REQ))
    say('the other way has no number', heard(back))
    here.send(msg(FLUSHPOLICY, b'', REQ))
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    header, data = struct.pack('<Ii', 0x20080522, 0), struct.pack('<6I', 1 << 12, 1 << 12, 0, 0, 0, 0)   # CAP_NET_ADMIN alone
    say('drop the right', libc.capset(header, data))
    say('no right to all', raw_set(wide, ALLNSID, b'\1\0\0\0'), raw_set(wide, PKTINFO, b'\1\0\0\0'))
    os._exit(0)


def rights():
    s = sock()
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    os.setuid(65534)
    say('no right: request', ask(s, msg(GETSADINFO, bytes(4))), ask(s, policy(1)), ask(s, msg(GETPOLICY, bytes(64), REQ | DUMP)))
    say('no right: connect', attempt(s.connect, (5, 0)), attempt(s.connect, (0, 1)), attempt(s.connect, (0, 0)))
    say('no right: join', raw_set(s, ADD, struct.pack('<i', 1)), attempt(s.bind, (s.getsockname()[0], 1)), attempt(s.bind, (s.getsockname()[0], 0)))
    say('no right: send', attempt(s.sendto, msg(GETSADINFO, bytes(4)), (5, 0)), attempt(s.sendto, msg(GETSADINFO, bytes(4)), (0, 1)))
    say('no right: options', raw_set(s, ALLNSID, b'\1\0\0\0'), raw_set(s, PKTINFO, b'\1\0\0\0'), raw_set(s, 33, b'\0\0\1\0', socket.SOL_SOCKET))
    t = sock()
    say('no right: new socket', ask(t, msg(GETSADINFO, bytes(4))), attempt(sock, 1), raw_set(t, ADD, struct.pack('<i', 1)))
    say('no right: unknown message', ask(t, msg(41, bytes(4))), ask(t, msg(2, bytes(4))))
    os._exit(0)


for section in (kinds, ports_and_names, options, groups, datagrams, destinations, receiving, waiting, queue, dumps, credentials, descriptors, namespaces, other_namespaces, rights):
    if len(sys.argv) > 1 and section.__name__ not in sys.argv[1:]:
        continue
    print('#', section.__name__)
    try:
        section()
    except Exception as e:
        say('failed', section.__name__, repr(e), e.__traceback__.tb_next and e.__traceback__.tb_next.tb_lineno)
