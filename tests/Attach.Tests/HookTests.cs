namespace Xfrmd.Attach.Tests;

/// <summary>What programs do to their ordinary sockets.</summary>
public sealed class HookTests : DaemonFixture
{
    private string[] Told => [.. Daemon.Hooks.Journal.Lines.Where(l => !l.StartsWith("end ", StringComparison.Ordinal))];

    [Fact]
    public void Udp_encap_never_reaches_the_kernel_beneath_and_gro_follows_it()
    {
        Python("""
            for f in (socket.AF_INET, socket.AF_INET6):
                u = socket.socket(f, socket.SOCK_DGRAM)
                before = u.getsockopt(17, 100); u.setsockopt(17, 100, 2); assert u.getsockopt(17, 100) == before == 0
                u.setsockopt(17, 104, 1); assert u.getsockopt(17, 104) == 0
                fails(errno.ENOPROTOOPT, u.setsockopt, 17, 100, 99)
                fails(errno.EINVAL, u.setsockopt, 17, 100, b'\2')
                plain = socket.socket(f, socket.SOCK_DGRAM); plain.setsockopt(17, 104, 1); assert plain.getsockopt(17, 104) == 1
            fails(errno.ENOPROTOOPT, socket.socket().setsockopt, 17, 100, 2)
            """);
        Assert.Equal(
            ["encap 100 2 handle", "encap 104 1 handle", "encap 100 99 handle", "encap 100 2 handle", "encap 104 1 handle", "encap 100 99 handle"], Told);
    }

    [Fact]
    public void Our_bits_of_a_mark_are_not_seen_and_stay_ours()
    {
        Python("""
            SO_MARK = 36
            def mark(s, value): s.setsockopt(socket.SOL_SOCKET, SO_MARK, value)
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            mark(u, 5); assert u.getsockopt(socket.SOL_SOCKET, SO_MARK) == 5
            mark(u, 0x03000005); assert u.getsockopt(socket.SOL_SOCKET, SO_MARK) == 5 and u.getsockopt(socket.SOL_SOCKET, SO_MARK, 2) == b'\5\0'
            mark(u, 6); assert u.getsockopt(socket.SOL_SOCKET, SO_MARK) == 5
            fails(errno.EINVAL, u.setsockopt, socket.SOL_SOCKET, SO_MARK, b'\1')
            if os.fork() == 0:
                os.setuid(65534); fails(errno.EPERM, mark, u, 7); os._exit(0)
            assert os.wait()[1] == 0
            """);
        Assert.Equal(["mark 6"], Told);
    }

    [Fact]
    public void Interfaces_of_kind_xfrm_are_made_and_deleted_by_us_and_answered_by_the_kernel()
    {
        Python("""
            import struct
            def attr(t, v): return struct.pack('HH', 4 + len(v), t) + v + b'\0' * (-len(v) % 4)
            def ask(s, type, flags, attrs, seq):
                s.send(struct.pack('IHHIIBBHiII', 32 + len(attrs), type, flags | 5, seq, 0, 0, 0, 0, 0, 0, 0) + attrs)
                answer = s.recv(4096); assert struct.unpack_from('I', answer, 8)[0] == seq
                return -struct.unpack_from('i', answer, 16)[0]
            def link(name, if_id): return attr(3, name + b'\0') + attr(18, attr(1, b'xfrm') + attr(2, attr(2, struct.pack('I', if_id))))
            s = socket.socket(16, 3, 0); s.bind((0, 0)); assert s.getsockname()[0] == os.getpid()
            assert ask(s, 16, 0x600, link(b'mine', 5), 11) == 0
            assert ask(s, 16, 0x600, link(b'taken', 5), 12) == errno.EEXIST
            assert ask(s, 16, 0x600, link(b'mine', 0), 13) == errno.EINVAL
            assert ask(s, 17, 0, attr(3, b'ours\0'), 14) == 0
            assert ask(s, 17, 0, attr(3, b'strange\0'), 15) == errno.ENODEV
            assert ask(s, 16, 0x600, attr(3, b'x\0') + attr(18, attr(1, b'nothing')), 16) == errno.EOPNOTSUPP
            for bad in (b'\0' * 31, struct.pack('IHHII', 4096, 16, 5, 1, 0) + b'\0' * 16, struct.pack('IHHII', 36, 16, 0x605, 1, 0) + b'\0' * 16 + b'\3\0\x12\0'):
                s.send(bad)
            """);
        Assert.Equal(["link mine 5", "link taken 5", "unlink 0 ours", "unlink 0 strange"], Told);
    }

    [Fact]
    public void Socket_policies_are_handed_over_as_the_kernel_would_take_them()
    {
        Python("""
            libc = ctypes.CDLL(None, use_errno=True)
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); v = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            u.setsockopt(0, 17, b'x' * 168); u.setsockopt(0, 16, b'x' * 16); v.setsockopt(41, 35, b'x' * 168); v.setsockopt(41, 34, b'x' * 16)
            v.setsockopt(0, 17, b'x' * 168); assert libc.setsockopt(u.fileno(), 0, 17, None, 0) == 0
            fails(errno.EMSGSIZE, u.setsockopt, 0, 17, b'x' * 4097); fails(errno.EMSGSIZE, u.setsockopt, 0, 17, b'')
            fails(errno.ENOPROTOOPT, u.setsockopt, 41, 35, b'x' * 168)
            assert libc.setsockopt(u.fileno(), 0, 17, ctypes.c_void_p(16), 168) == -1 and ctypes.get_errno() == errno.EFAULT
            if os.fork() == 0:
                libc.prctl(8, 0); os.setuid(65534); fails(errno.EPERM, u.setsockopt, 0, 17, b'x' * 168); os._exit(0)
            assert os.wait()[1] == 0
            """);
        Assert.Equal(
            ["policy 0 17 168 handle", "policy 0 16 16 handle", "policy 41 35 168 handle", "policy 41 34 16 handle", "policy 0 17 168 handle",
            "policy 0 17 0 handle"], Told);
    }

    [Fact]
    public void A_bind_of_an_ordinary_udp_socket_is_announced_and_done_by_the_kernel()
    {
        Python("""
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0)); assert u.getsockname()[1] != 0
            v = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); v.bind(('::1', 0)); t = socket.socket(); t.bind(('127.0.0.1', 0))
            n = socket.socket(16, 3, 0); n.bind((0, 0)); x = socket.socket(socket.AF_UNIX); x.bind('\0xfrmd-test-%d' % os.getpid())
            """);
        Assert.Equal(2, Told.Length);
        Assert.Equal("bind 020000007F0000010000000000000000", Told[0]);
        Assert.StartsWith("bind 0A000000", Told[1], StringComparison.Ordinal);
    }
}
