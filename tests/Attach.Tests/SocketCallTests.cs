namespace Xfrmd.Attach.Tests;

/// <summary>The other calls on an emulated socket.</summary>
public sealed class SocketCallTests : DaemonFixture
{
    [Fact]
    public void Names_and_options_are_the_protocols() => Python("""
        s = nl(); assert s.getsockname() == (0, 0)
        s.bind((0, 5)); assert s.getsockname() == (os.getpid(), 5)
        assert s.getpeername() == (0, 0); s.connect((0, 0))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.bind(s.fileno(), b'\x02\0' * 8, 16) == -1 and ctypes.get_errno() == errno.EINVAL
        addr = ctypes.create_string_buffer(b'\xee' * 12, 12); ln = ctypes.c_int(4)
        assert libc.getsockname(s.fileno(), addr, ctypes.byref(ln)) == 0 and ln.value == 12 and addr.raw == b'\x10\0\0\0' + b'\xee' * 8
        ln = ctypes.c_int(-1); assert libc.getsockname(s.fileno(), addr, ctypes.byref(ln)) == -1 and ctypes.get_errno() == errno.EINVAL
        s.setsockopt(270, 11, 1); assert s.getsockopt(270, 11) == 1
        fails(errno.ENOPROTOOPT, s.setsockopt, 270, 99, 1); fails(errno.ENOPROTOOPT, s.getsockopt, 270, 99)
        assert [s.getsockopt(1, o) for o in (3, 38, 39)] == [3, 6, 16]
        d = nl(socket.SOCK_DGRAM); assert d.getsockopt(1, 3) == 2
        t = socket.socket(fileno=os.dup(s.fileno())); assert (t.family, t.type, t.proto) == (16, 3, 6)
        """);

    [Fact]
    public void Dup_and_fcntl_give_a_descriptor_that_is_ours_too() => Python("""
        import fcntl
        s = nl(); s.bind((0, 3))
        libc = ctypes.CDLL(None, use_errno=True)
        for fd in (libc.dup(s.fileno()), fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 0), fcntl.fcntl(s.fileno(), fcntl.F_DUPFD_CLOEXEC, 950)):
            t = socket.socket(16, 3, 6, fileno=fd); assert t.getsockname() == (os.getpid(), 3), fd
            t.send(b'abc'); assert s.recvfrom(9) == (b'ABC', (0, 0))
            assert bool(fcntl.fcntl(fd, fcntl.F_GETFD)) == (fd == t.fileno() and fd >= 950)
            keep.append(t) if 'keep' in globals() else globals().update(keep=[t])
        s.close()
        for t in keep: t.send(b'abc'); assert t.recv(9) == b'ABC'
        """);

    [Fact]
    public void Flags_of_socket_are_kept() => Python("""
        import fcntl
        s = socket.socket(16, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 6); assert not s.getblocking(); fails(errno.EAGAIN, s.recv, 9)
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.socket(16, 3, 6); assert fcntl.fcntl(fd, fcntl.F_GETFD) == 0 and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK == 0
        fd = libc.socket(16, 3 | 0x80000, 6); assert fcntl.fcntl(fd, fcntl.F_GETFD) == 1
        assert libc.socket(16, 3 | 0x100000, 6) == -1 and ctypes.get_errno() == errno.EINVAL
        assert libc.socket(16, 1, 6) == -1 and ctypes.get_errno() == errno.ESOCKTNOSUPPORT
        assert socket.socket(16, 3, 0).getsockname() == (0, 0)               # NETLINK_ROUTE is the kernel's
        """);

    [Fact]
    public void Key_sockets_answer_too_and_refuse_what_linux_refuses() => Python("""
        s = socket.socket(15, socket.SOCK_RAW, 2); s.send(b'abc'); assert s.recv(9) == b'ABC'
        os.writev(s.fileno(), [b'ab', b'c']); assert os.read(s.fileno(), 9) == b'ABC'
        s.send(b'abc'); assert s.recv(2, socket.MSG_PEEK) == b'AB'; assert s.recv(9) == b'ABC'
        libc = ctypes.CDLL(None, use_errno=True)
        addr = ctypes.create_string_buffer(b'\xee' * 16, 16); ln = ctypes.c_int(16); buf = ctypes.create_string_buffer(9)
        s.send(b'abc'); assert libc.recvfrom(s.fileno(), buf, 9, 0, addr, ctypes.byref(ln)) == 3 and ln.value == 0 and addr.raw == b'\xee' * 16
        for type, protocol, code in ((3, 1, errno.EPROTONOSUPPORT), (2, 2, errno.ESOCKTNOSUPPORT)):
            fails(code, socket.socket, 15, type, protocol)
        assert libc.getsockname(s.fileno(), addr, ctypes.byref(ctypes.c_int(16))) == -1 and ctypes.get_errno() == errno.EOPNOTSUPP
        assert [s.getsockopt(1, o) for o in (3, 38, 39)] == [3, 0, 15]   # pfkey_create sets no sk_protocol
        fails(errno.EPERM, s.send, b'refuse'); fails(errno.EMSGSIZE, s.send, b'x' * s.getsockopt(1, 7))
        if os.fork() == 0:
            libc.prctl(8, 0); os.setuid(65534); fails(errno.EPERM, socket.socket, 15, 3, 2); os._exit(0)
        assert os.wait()[1] == 0
        """);

    [Fact]
    public void A_foreign_file_at_a_reserved_number_is_left_alone() => Python("""
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0)); r, w = os.pipe()
        for fd in range(510, 1024): os.dup2(u.fileno() if fd % 2 else w, fd)
        v = socket.socket(fileno=1001); assert v.family == socket.AF_INET and v.getsockname() == u.getsockname()
        v.sendto(b'abc', u.getsockname()); assert u.recvfrom(9) == (b'abc', u.getsockname())
        os.write(1000, b'x'); assert os.read(r, 9) == b'x'
        fails(errno.EMFILE, nl)
        """);

    [Fact]
    public void The_513th_socket_meets_EMFILE_and_a_closed_one_makes_room() => Python("""
        all = [nl() for _ in range(512)]; fails(errno.EMFILE, nl)
        all.pop().close(); all.append(nl())
        for s in all: s.send(b'abc'); assert s.recv(9) == b'ABC'
        """);
}
