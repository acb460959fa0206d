namespace Xfrmd.Attach.Tests;

/// <summary>Sends are taken before the call returns.</summary>
public sealed class SendTests : DaemonFixture
{
    [Fact]
    public void Every_kind_of_send_arrives_whole() => Python("""
        s = nl()
        def answer(): return s.recv(100, socket.MSG_DONTWAIT)
        assert s.send(b'one') == 3; assert answer() == b'ONE'
        assert s.sendto(b'two', (0, 0)) == 3; assert answer() == b'TWO'
        assert s.sendmsg([b'th', b'', b'ree'], [], 0, (0, 0)) == 5; assert answer() == b'THREE'
        assert os.write(s.fileno(), b'four') == 4; assert answer() == b'FOUR'
        assert os.writev(s.fileno(), [b'fi', b've']) == 4; assert answer() == b'FIVE'
        assert s.send(b'') == 0; assert answer() == b''
        assert s.send(b'x' * 60000) == 60000; assert s.recv(70000) == b'X' * 60000
        """);

    [Fact]
    public void Sendmmsg_sends_each_and_tells_how_many_went() => Python("""
        libc = ctypes.CDLL(None, use_errno=True); s = nl()
        class iovec(ctypes.Structure): _fields_ = [('base', ctypes.c_char_p), ('len', ctypes.c_size_t)]
        class msghdr(ctypes.Structure): _fields_ = [('name', ctypes.c_void_p), ('namelen', ctypes.c_int), ('iov', ctypes.POINTER(iovec)),
            ('iovlen', ctypes.c_size_t), ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t), ('flags', ctypes.c_int)]
        class mmsghdr(ctypes.Structure): _fields_ = [('hdr', msghdr), ('len', ctypes.c_uint)]
        def send(*words):
            v = (mmsghdr * len(words))()
            for m, w in zip(v, words): m.hdr.iov = ctypes.pointer(iovec(w, len(w))); m.hdr.iovlen = 1
            return libc.sendmmsg(s.fileno(), v, len(words), 0), [m.len for m in v]
        assert send(b'a', b'bb', b'ccc') == (3, [1, 2, 3])
        assert [s.recv(9) for _ in range(3)] == [b'A', b'BB', b'CCC']
        assert send(b'a', b'refuse', b'c') == (1, [1, 0, 0])
        assert send(b'refuse', b'c')[0] == -1 and ctypes.get_errno() == errno.EPERM
        """);

    [Fact]
    public void Errors_of_the_protocol_and_of_the_arguments_come_back_from_send() => Python("""
        libc = ctypes.CDLL(None, use_errno=True); s = nl()
        fails(errno.EPERM, s.send, b'refuse'); fails(errno.ENOMEM, s.send, b'throw'); fails(errno.EOPNOTSUPP, s.send, b'x', socket.MSG_OOB)
        assert libc.send(s.fileno(), ctypes.c_void_p(16), 8, 0) == -1 and ctypes.get_errno() == errno.EFAULT
        assert libc.sendto(s.fileno(), b'x', 1, 0, b'\x10\0', 2) == -1 and ctypes.get_errno() == errno.EINVAL
        assert libc.sendto(s.fileno(), b'x', 1, 0, b'\x10\0' * 99, 198) == -1 and ctypes.get_errno() == errno.EINVAL
        assert libc.writev(s.fileno(), b'', 1025) == -1 and ctypes.get_errno() == errno.EINVAL
        s.send(b'abc'); assert s.recv(9) == b'ABC'
        """);

    [Fact]
    public void The_protocol_learns_who_sends() => Python("""
        s = nl(); s.send(b'caller'); assert s.recv(99) == b'%d True' % os.getpid()
        t = threading.Thread(target=lambda: s.send(b'caller')); t.start(); t.join(); assert s.recv(99) == b'%d True' % os.getpid()
        pid = os.fork()
        if pid == 0:
            libc = ctypes.CDLL(None); libc.prctl(8, 0); os.setuid(65534)      # no capability is left
            s.send(b'caller'); os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0; assert s.recv(99) == b'%d False' % pid
        """);

    [Fact]
    public void Eight_threads_share_a_socket() => Python("""
        s = nl(); s.setsockopt(1, 33, 8 << 20)
        def work(i):
            for k in range(200): s.send(b'thread %d %d' % (i, k))
        ts = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for t in ts: t.start()
        got = [s.recv(99) for _ in range(1600)]
        for t in ts: t.join()
        for i in range(8): assert [g for g in got if g.startswith(b'THREAD %d ' % i)] == [b'THREAD %d %d' % (i, k) for k in range(200)]
        """);
}
