namespace Xfrmd.Attach.Tests;

/// <summary>The receive queue is as long as SO_RCVBUF makes it, and ENOBUFS comes out once.</summary>
public sealed class QueueTests : DaemonFixture
{
    [Fact]
    public void The_queue_holds_what_a_netlink_socket_of_the_kernel_would_hold() => Python("""
        def room(setup):
            s = nl(); setup(s); s.send(b'fill 200')
            n = 0
            s.setblocking(False)
            while True:
                try: s.recv(1000); n += 1
                except BlockingIOError: return n
                except OSError as e: assert e.errno == errno.ENOBUFS
        default = int(open('/proc/sys/net/core/wmem_default').read())
        # A kernel queue takes datagrams until their memory exceeds the limit: 1280 bytes for one of 200 here, within a factor of two elsewhere.
        for setup, limit in ((lambda s: None, default), (lambda s: s.setsockopt(1, 8, 32768), 65536), (lambda s: s.setsockopt(1, 33, 1 << 20), 1 << 21)):
            n = room(setup); assert limit // 2560 <= n <= limit // 512 + 1, (n, limit)
        s = nl(); s.setsockopt(1, 33, 1 << 20); assert s.getsockopt(1, 8) == 1 << 21
        """);

    [Fact]
    public void A_pending_error_is_returned_once_by_any_receive() => Python("""
        for receive in (lambda s: s.recvfrom(1000)[0], lambda s: s.recv(1000), lambda s: os.read(s.fileno(), 1000), lambda s: s.recvmsg(1000)[0]):
            s = nl(); s.send(b'fill 200')
            fails(errno.ENOBUFS, receive, s)
            assert len(receive(s)) == 200
        s = nl(); s.send(b'fill 200')
        assert s.getsockopt(1, 4) == errno.ENOBUFS and s.getsockopt(1, 4) == 0 and len(s.recv(1000)) == 200
        """);

    [Fact]
    public void A_datagram_longer_than_the_queue_fits_into_an_empty_one() => Python("""
        s = nl(); s.setsockopt(1, 8, 1)                    # as little as the kernel gives
        s.send(b'x' * 30000); assert s.recv(40000) == b'X' * 30000
        s.send(b'y' * 30000); assert s.recv(40000) == b'Y' * 30000
        """);

    [Fact]
    public void A_send_above_the_send_buffer_is_too_long() => Python("""
        s = nl(); size = s.getsockopt(1, 7)
        s.send(b'none ' + b'x' * (size - 32 - 5)); fails(errno.EMSGSIZE, s.send, b'none ' + b'x' * (size - 31 - 5))
        s.setsockopt(1, 7, 4096); assert s.getsockopt(1, 7) == 8192
        s.send(b'none ' + b'x' * (8160 - 5)); fails(errno.EMSGSIZE, s.send, b'x' * 8161)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.send(s.fileno(), ctypes.c_void_p(1), ctypes.c_size_t(1 << 62), 0) == -1 and ctypes.get_errno() == errno.EMSGSIZE
        """);
}
