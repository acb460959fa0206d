namespace Xfrmd.Attach.Tests;

/// <summary>Receives are the kernel's own, on the program's end of the pair; only the address that they report is ours.</summary>
public sealed class ReceiveTests : DaemonFixture
{
    [Fact]
    public void Every_kind_of_receive_gives_the_answer_and_the_kernels_address() => Python("""
        s = nl()
        s.send(b'abc'); assert s.recv(100) == b'ABC'
        s.send(b'abc'); assert s.recvfrom(100) == (b'ABC', (0, 0)), 'recvfrom'
        s.send(b'abc'); d, anc, flags, addr = s.recvmsg(100); assert (d, addr) == (b'ABC', (0, 0)), (d, addr)
        s.send(b'abc'); b = bytearray(10); assert s.recv_into(b) == 3
        s.send(b'abc'); assert os.read(s.fileno(), 100) == b'ABC'
        s.send(b'abc'); b = bytearray(10); assert os.readv(s.fileno(), [b]) == 3
        """);

    [Fact]
    public void An_address_is_cut_to_the_room_and_its_real_length_told() => Python("""
        libc = ctypes.CDLL(None, use_errno=True); s = nl()
        for room in (0, 1, 2, 7, 12, 13, 64):
            s.send(b'abc'); buf = ctypes.create_string_buffer(16); addr = ctypes.create_string_buffer(b'\xee' * 80, 80); ln = ctypes.c_int(room)
            assert libc.recvfrom(s.fileno(), buf, 16, 0, addr, ctypes.byref(ln)) == 3
            want = (struct.pack('HHII', 16, 0, 0, 0)[:room] + b'\xee' * 80)[:80]
            assert ln.value == 12 and addr.raw == want, (room, ln.value, addr.raw)
        s.send(b'abc'); assert libc.recvfrom(s.fileno(), buf, 16, 0, None, None) == 3
        """);

    [Fact]
    public void Recvmmsg_gives_each_message_its_address() => Python("""
        libc = ctypes.CDLL(None, use_errno=True); s = nl()
        class iovec(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]
        class msghdr(ctypes.Structure): _fields_ = [('name', ctypes.c_void_p), ('namelen', ctypes.c_int), ('iov', ctypes.POINTER(iovec)),
            ('iovlen', ctypes.c_size_t), ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t), ('flags', ctypes.c_int)]
        class mmsghdr(ctypes.Structure): _fields_ = [('hdr', msghdr), ('len', ctypes.c_uint)]
        for w in (b'a', b'bb', b'ccc'): s.send(w)
        v = (mmsghdr * 4)(); keep = []
        for m in v:
            data = ctypes.create_string_buffer(16); name = ctypes.create_string_buffer(b'\xee' * 16, 16); io = iovec(ctypes.addressof(data), 16)
            keep.append((data, name, io)); m.hdr.iov = ctypes.pointer(io); m.hdr.iovlen = 1; m.hdr.name = ctypes.addressof(name); m.hdr.namelen = 16
        assert libc.recvmmsg(s.fileno(), v, 4, socket.MSG_DONTWAIT, None) == 3
        for m, (data, name, io), w in zip(v, keep, (b'A', b'BB', b'CCC')):
            assert (m.len, data.raw[:m.len], m.hdr.namelen, name.raw) == (len(w), w, 12, struct.pack('HHII', 16, 0, 0, 0) + b'\xee' * 4), (m.len, name.raw)
        """);

    [Fact]
    public void Peek_trunc_and_dontwait_are_as_in_the_kernel() => Python("""
        s = nl(); fails(errno.EAGAIN, s.recv, 10, socket.MSG_DONTWAIT); fails(errno.EAGAIN, s.recvfrom, 10, socket.MSG_DONTWAIT)
        s.send(b'abcdef')
        assert s.recvfrom(3, socket.MSG_PEEK) == (b'ABC', (0, 0))
        assert s.recv_into(bytearray(0) or bytearray(1), 1, socket.MSG_PEEK | socket.MSG_TRUNC) == 6
        d, anc, flags, addr = s.recvmsg(4); assert d == b'ABCD' and flags & socket.MSG_TRUNC and addr == (0, 0), (d, flags, addr)
        fails(errno.EAGAIN, s.recvfrom, 10, socket.MSG_DONTWAIT)
        """);

    [Fact]
    public void Poll_select_and_epoll_see_the_answer_at_once() => Python("""
        s = nl(); assert s.fileno() < 1024
        p = select.poll(); p.register(s, select.POLLIN); e = select.epoll(); e.register(s, select.EPOLLIN)
        assert p.poll(0) == [] and e.poll(0) == [] and select.select([s], [], [], 0)[0] == []
        for i in range(300):
            s.send(b'abc')
            assert select.select([s], [], [], 0)[0] == [s] and p.poll(0) == [(s.fileno(), select.POLLIN)] and len(e.poll(0)) == 1, i
            assert s.recvfrom(10, socket.MSG_DONTWAIT)[0] == b'ABC'
        """);

    [Fact]
    public void A_receive_with_a_timeout_ends_and_its_variable_serves_again() => Python("""
        libc = ctypes.CDLL(None, use_errno=True); s = nl()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', 0, 50000))
        buf = ctypes.create_string_buffer(16); addr = ctypes.create_string_buffer(12); ln = ctypes.c_int(12)
        t = time.monotonic()
        assert libc.recvfrom(s.fileno(), buf, 16, 0, addr, ctypes.byref(ln)) == -1 and ctypes.get_errno() == errno.EAGAIN
        assert 0.04 < time.monotonic() - t < 5
        s.send(b'abc')
        assert libc.recvfrom(s.fileno(), buf, 16, 0, addr, ctypes.byref(ln)) == 3
        assert ln.value == 12 and addr.raw == struct.pack('HHII', 16, 0, 0, 0), (ln.value, addr.raw)
        """);

    [Fact]
    public void A_signal_interrupts_or_restarts_a_blocked_receive() => Python("""
        libc = ctypes.CDLL(None, use_errno=True); s = nl(); hits = []
        buf = ctypes.create_string_buffer(16); addr = ctypes.create_string_buffer(12); ln = ctypes.c_int(12)
        HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)
        def act(flags):
            class sa(ctypes.Structure): _fields_ = [('h', HANDLER), ('mask', ctypes.c_ulong * 16), ('flags', ctypes.c_int), ('r', ctypes.c_void_p)]
            a = sa(); a.h = HANDLER(lambda n: hits.append(n)); a.flags = flags; keep.append(a)
            assert libc.sigaction(signal.SIGALRM, ctypes.byref(a), None) == 0
        keep = []
        act(0); signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert libc.recvfrom(s.fileno(), buf, 16, 0, addr, ctypes.byref(ln)) == -1 and ctypes.get_errno() == errno.EINTR
        act(0x10000000); signal.setitimer(signal.ITIMER_REAL, 0.1)          # SA_RESTART
        threading.Thread(target=lambda: (time.sleep(0.4), s.send(b'abc'))).start()
        assert libc.recvfrom(s.fileno(), buf, 16, 0, addr, ctypes.byref(ln)) == 3
        assert len(hits) == 2 and ln.value == 12 and addr.raw == struct.pack('HHII', 16, 0, 0, 0), (hits, ln.value, addr.raw)
        """);

    [Fact]
    public void A_dump_goes_on_as_the_program_reads() => Python("""
        s = nl(); s.send(b'dump 500')
        s.settimeout(5)
        for i in range(500): assert s.recv(100) == b'part %d' % i
        s.settimeout(0); fails(errno.EAGAIN, s.recv, 10, socket.MSG_DONTWAIT)
        s.send(b'abc'); assert s.recv(10) == b'ABC'
        """);

    [Fact]
    public void The_buffer_knows_whether_all_is_read() => Python("""
        s = nl()
        def unread():
            s.send(b'unread')
            while True:
                d = s.recv(8192)
                if d in (b'empty', b'more'): return d
        assert unread() == b'empty'
        for w in (b'x', b'y' * 3776, b'z' * 40): s.send(w)
        assert s.recv(1) == b'X'
        s.send(b'unread'); assert [s.recv(8192) for _ in range(3)][2] == b'more'
        s.send(b'x' * 100); s.send(b'unread'); assert [s.recv(8192) for _ in range(2)][1] == b'more'
        for i in range(2000): s.send(b'x' * (i % 97)); s.recv(200)
        assert unread() == b'empty'
        """);
}
