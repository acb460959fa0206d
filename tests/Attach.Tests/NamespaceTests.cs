using System.Globalization;

namespace Xfrmd.Attach.Tests;

/// <summary>State belongs to the network namespace of the thread that makes the socket.</summary>
public sealed class NamespaceTests : DaemonFixture
{
    [Fact]
    public void One_daemon_serves_several_namespaces_and_learns_when_the_last_socket_has_gone()
    {
        // The first is still there when the second is made: a namespace that has ended leaves its number to the next.
        string[] inodes = Client.Python(Daemon.Path, ["unshare", "-n"], """
            libc = ctypes.CDLL(None, use_errno=True); sockets = []
            for name in 'AB':
                s = nl(); s.send(b'caller'); assert s.recv(99) == b'%d True' % os.getpid(); sockets.append(s)
                print(os.readlink('/proc/self/ns/net')[5:-1])
                assert libc.unshare(0x40000000) == 0
            """).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, inodes.Distinct().Count());
        Assert.All(inodes, inode => Assert.Contains(inode, Daemon.Namespaces.All.Select(s => s.Inode.ToString(CultureInfo.InvariantCulture))));
        Daemon.Namespaces.Released.WaitFor(l => inodes.Contains(l), 2);
    }

    [Fact]
    public void Namespaces_that_have_ended_are_forgotten_before_the_program_ends()
    {
        Daemon.Namespaces.EndsDeserted = true;
        Client.Python(Daemon.Path, ["unshare", "-n"], """
            import time
            libc = ctypes.CDLL(None, use_errno=True)
            for i in range(20):
                s = nl(); s.send(b'abc'); assert s.recv(9) == b'ABC'; s.close()
                assert libc.unshare(0x40000000) == 0
            time.sleep(1)
            s = nl(); s.send(b'abc'); assert s.recv(9) == b'ABC'
            """);
        Daemon.Hooks.Journal.WaitFor(static line => line.StartsWith("end", StringComparison.Ordinal));
        Assert.Single(Daemon.Hooks.Journal.Lines, static line => line.StartsWith("end", StringComparison.Ordinal));
    }

    [Fact]
    public void A_thread_that_changes_its_namespace_makes_sockets_there() => Python("""
        libc = ctypes.CDLL(None, use_errno=True); seen = []
        def work():
            assert libc.unshare(0x40000000) == 0
            s = nl(); s.send(b'abc'); assert s.recv(9) == b'ABC'
            SIOCGIFFLAGS = 0x8913; import fcntl
            flags = struct.unpack('16sh', fcntl.ioctl(s, SIOCGIFFLAGS, struct.pack('16sh', b'lo', 0)))[1]; seen.append(flags & 1)
        t = threading.Thread(target=work); t.start(); t.join()
        assert seen == [0], seen                    # lo is down in a new namespace: the socket is in it
        s = nl(); s.send(b'abc'); assert s.recv(9) == b'ABC'
        """);

    [Fact]
    public void Root_of_a_user_namespace_of_its_own_rules_its_network_and_no_other()
    {
        Client.Python(Daemon.Path, ["unshare", "-Urn"], "s = nl(); s.send(b'caller'); assert s.recv(99) == b'%d True' % os.getpid()");
        Client.Python(Daemon.Path, ["unshare", "-Ur"], "s = nl(); s.send(b'caller'); assert s.recv(99) == b'%d False' % os.getpid()");
    }

    [Fact]
    public void A_program_in_a_pid_namespace_is_known_by_its_own_number() => Client.Python(
        Daemon.Path, ["unshare", "-pf"], "s = nl(); s.send(b'caller'); assert s.recv(99) == b'1 True'; s.bind((0, 0)); assert s.getsockname() == (1, 0)");

    [Fact]
    public void Without_root_all_works_inside_a_user_namespace()
    {
        using TestFolder folder = new();
        string path = folder["control.sock"];
        Client.Result result = Client.Finish(Client.StartPlain(
            path, "unshare", "-Urn", "sh", "-c",
            $"""
            dotnet {typeof(EchoDaemon).Assembly.Location} {path} > {path}.log 2>&1 & daemon=$!
            while ! grep -q ready {path}.log; do sleep 0.1; done
            {PublishedProgram.Path} run -- python3 -c 'import socket; s = socket.socket(16, 3, 6); s.send(b"abc"); print(s.recvfrom(9))'
            kill -9 $daemon
            """));
        Assert.Equal("(b'ABC', (0, 0))\n", result.Output);
    }
}
