using System.Diagnostics;

namespace Xfrmd.Attach.Tests;

/// <summary>Processes that fork, exec, pass sockets on, and die; and a daemon that dies.</summary>
public sealed class LifecycleTests : DaemonFixture
{
    [Theory]
    [InlineData("exit 0", 0)]
    [InlineData("exit 7", 7)]
    [InlineData("kill -TERM $$", 128 + 15)]
    [InlineData("kill -KILL $$", 128 + 9)]
    public void The_exit_code_is_the_programs_own(string script, int expected) => Assert.Equal(expected, Shell(script).ExitCode);

    [Fact]
    public void A_program_that_is_not_there_and_one_that_cannot_run_are_told_apart()
    {
        Client.Result missing = Client.Run(Daemon.Path, "no-such-program"), directory = Client.Run(Daemon.Path, "/etc/passwd");
        Assert.Equal((127, 126), (missing.ExitCode, directory.ExitCode));
        Assert.Matches("^xfrmd run: cannot run 'no-such-program': No such file or directory .*\n$", missing.Errors);
        Assert.Matches("^xfrmd run: cannot run '/etc/passwd': Permission denied\n$", directory.Errors);
    }

    [Fact]
    public void No_daemon_and_no_program_are_told_in_one_line()
    {
        Client.Result nobody = Client.Run("/nonexistent.sock", "true");
        Assert.Equal(125, nobody.ExitCode);
        Assert.Matches("^xfrmd run: no daemon at /nonexistent.sock .*start 'xfrmd serve'.*\n$", nobody.Errors);
        Client.Result nothing = Client.Finish(Client.StartPlain(Daemon.Path, PublishedProgram.Path, "run"));
        Assert.Equal(125, nothing.ExitCode);
        Assert.Matches("^xfrmd run: no program named; usage: .*\n$", nothing.Errors);
    }

    [Fact]
    public void The_program_keeps_its_pid_arguments_environment_and_standard_input()
    {
        Process process = Client.Start(Daemon.Path, "sh", "-c", "echo $$; printf '%s|' \"$@\"; echo \"$XFRMD_SOCKET\"; cat", "sh", "a b", "", "-- x");
        int pid = process.Id;
        process.StandardInput.Write("input");
        process.StandardInput.Close();
        Assert.Equal($"{pid}\na b||-- x|{Daemon.Path}\ninput", Client.Finish(process).Output);
    }

    [Fact]
    public void Arguments_that_are_not_utf8_arrive_as_they_are() =>
        Assert.Equal("ff fe\n", Client.Finish(Client.StartPlain(
            Daemon.Path, "sh", "-c", $"exec {PublishedProgram.Path} run -- sh -c 'printf %s \"$0\" | od -An -tx1 | cut -c2-' \"$(printf '\\377\\376')\"")).Output);

    [Theory]
    [InlineData("")]
    [InlineData("ulimit -Sn 300;")]
    [InlineData("ulimit -n 700;")]
    [InlineData("trap '' PIPE HUP USR1;")]
    [InlineData("umask 027; ulimit -c 0;")]
    public void The_program_finds_signals_limits_and_files_as_without_us(string setting)
    {
        // A soft limit below the reserved numbers is the one thing that must be raised. SigQ counts the signals of all programs of the user.
        const string Show = "grep -E '^(Sig[^Q]|Shd|Umask|Cap)' /proc/self/status; ulimit -a | grep -v nofiles; ulimit -Hn; ls /proc/self/fd | grep -v 3; env | sort";
        string native = Client.Finish(Client.StartPlain(Daemon.Path, "sh", "-c", setting + "sh -c \"$0\"; :", Show)).Output;
        string attached = Client.Finish(Client.StartPlain(
            Daemon.Path, "sh", "-c", $"{setting}{PublishedProgram.Path} run -- sh -c \"$0\"; :", Show)).Output;
        Assert.Equal(native, attached);
        Assert.Contains("SigIgn", native, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("SIG_DFL", "SIG_IGN")]
    [InlineData("SIG_IGN", "SIG_DFL")]
    public void The_program_finds_SIGPIPE_as_it_was_whatever_the_parent_has(string child, string parent) => Assert.Matches(
        // The fourth digit has SIGPIPE, beside signals that nobody ignores; those above 31 are as whoever started the tests left them.
        child == "SIG_DFL" ? "SigIgn:\t[0-9a-f]{12}0[0-9a-f]{3}\n" : "SigIgn:\t[0-9a-f]{12}1[0-9a-f]{3}\n",
        Client.Finish(Client.StartPlain(
            Daemon.Path, "python3", "-c",
            $"""
            import os, signal
            if os.fork() == 0:
                signal.signal(signal.SIGPIPE, signal.{child}); signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                os.execv('{PublishedProgram.Path}', ['xfrmd', 'run', '--', 'grep', 'SigIgn', '/proc/self/status'])
            signal.signal(signal.SIGPIPE, signal.{parent}); os.wait()
            """)).Output);

    [Fact]
    public void A_low_hard_limit_on_open_files_moves_the_reserved_numbers() => Assert.Equal("ABC\n", Client.Finish(Client.StartPlain(
        Daemon.Path, "sh", "-c",
        $"ulimit -n 256; exec {PublishedProgram.Path} run -- python3 -c 'import socket; s = socket.socket(16, 3, 6); s.send(b\"abc\"); print(s.recv(9).decode())'"))
        .Output);

    [Fact]
    public void One_session_serves_a_shell_and_all_its_children()
    {
        const string Child = "python3 -c 'import socket; s = socket.socket(16, 3, 6); s.send(b\"abc\"); print(s.recvfrom(9))'";
        Client.Result result = Shell($"{Child} & {Child} & {Child} & wait; exec {Child}");
        Assert.Equal(string.Concat(Enumerable.Repeat("(b'ABC', (0, 0))\n", 4)), result.Output);
        Daemon.Journal.WaitFor(l => l == "release", 4);
        Daemon.Hooks.Journal.WaitFor(l => l.StartsWith("end ", StringComparison.Ordinal));
        Assert.Single(Daemon.Hooks.Journal.Lines, l => l.StartsWith("end ", StringComparison.Ordinal));
        Assert.Equal(0, Daemon.OpenSockets);
    }

    [Fact]
    public void A_socket_survives_fork_and_exec_and_is_released_with_its_last_descriptor()
    {
        Python("""
            s = nl(); s.set_inheritable(True); s.bind((0, 2))
            if os.fork() == 0:
                os.execvp('python3', ['python3', '-c', 'import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); assert s.getsockname()[1] == 2;'
                    's.send(b"from the child"); print(s.recvfrom(99))', str(s.fileno())])
            assert os.wait()[1] == 0
            s.send(b'abc'); assert s.recv(9) == b'ABC'
            """);
        Daemon.Journal.WaitFor(l => l == "release");
        Assert.Contains("send 14 from the child", Daemon.Journal.Lines);
        Assert.Equal(0, Daemon.OpenSockets);
    }

    [Fact]
    public void A_socket_that_is_passed_on_or_moved_still_carries_datagrams() => Python("""
        a, b = socket.socketpair()
        for make in (nl, lambda: socket.socket(15, 3, 2)):
            if os.fork() == 0:
                os.chroot('/proc/self/fdinfo'); os.setgid(65534); os.setuid(65534)
                fds = socket.recv_fds(b, 9, 1)[1]
                s = socket.socket(16, 3, 6, fileno=fds[0]); s.send(b'caller'); r = s.recv(99)
                os._exit(0 if r in (b'%d False' % os.getpid(), b'%d True' % os.getppid()) else 1)
            s = make(); socket.send_fds(a, [b'x'], [s.fileno()]); assert os.wait()[1] == 0
        s = nl(); os.dup2(s.fileno(), 500); s.close(); m = socket.socket(16, 3, 6, fileno=500)
        for i in range(100): m.send(b'abc'); assert m.recv(9) == b'ABC'
        m.send(b'none 1'); m.close()
        """);

    [Fact]
    public void What_is_written_in_parts_to_a_socket_that_was_passed_on_is_answered_when_the_call_returns() => Python("""
        a, b = socket.socketpair()
        s = nl(); s.bind((0, 2)); socket.send_fds(a, [b'x'], [s.fileno()]); fd = socket.recv_fds(b, 9, 1)[1][0]; assert fd < 100
        p = socket.socket(16, 3, 6, fileno=fd); p.setblocking(False); assert p.getsockname()[1] == 2
        for i in range(1000): assert os.writev(fd, [b'a', b'', b'bc']) == 3 and p.recv(9) == b'ABC'
        r, w = os.pipe(); assert os.writev(w, [b'other ', b'file']) == 10 and os.read(r, 99) == b'other file'
        try: os.writev(999, [b'x'])
        except OSError as e: assert e.errno == 9
        assert a.getsockname() == '' and a.getpeername() == ''
        """);

    [Fact]
    public void An_empty_datagram_and_an_end_of_sending_are_told_apart()
    {
        Python("""
            for make in (nl, lambda: socket.socket(15, 3, 2)):
                s = make(); os.dup2(s.fileno(), 500); m = socket.socket(16, 3, 6, fileno=500)
                m.send(b''); assert m.recv(9) == b''; m.send(b'abc'); assert m.recv(9) == b'ABC'
                m.shutdown(socket.SHUT_WR); time.sleep(0.1); fails(errno.EAGAIN, m.recv, 9, socket.MSG_DONTWAIT); m.close(); s.close()
            """);
        Daemon.Journal.WaitFor(l => l == "release", 2);
        Assert.Equal(2, Daemon.Journal.Lines.Count(l => l.StartsWith("send 0", StringComparison.Ordinal)));
    }

    [Fact]
    public void What_was_sent_before_the_end_is_taken()
    {
        Python("s = nl(); os.dup2(s.fileno(), 500); os.write(500, b'none last words'); os._exit(0)");
        Daemon.Journal.WaitFor(l => l == "release");
        Assert.Contains("send 15 none last words", Daemon.Journal.Lines);
    }

    [Fact]
    public void A_killed_program_gives_its_sockets_back()
    {
        Process process = Client.Start(Daemon.Path, "python3", "-c", "import socket; s = [socket.socket(16, 3, 6) for _ in range(5)]; s[0].recvfrom(9)");
        Daemon.Journal.WaitFor(l => l.StartsWith("open", StringComparison.Ordinal), 5);
        process.Kill();
        Client.Finish(process);
        Daemon.Journal.WaitFor(l => l == "release", 5);
        Daemon.Hooks.Journal.WaitFor(l => l.StartsWith("end ", StringComparison.Ordinal));
        Daemon.Namespaces.Released.WaitFor(_ => true);
        Assert.Equal(0, Daemon.OpenSockets);
    }

    [Fact]
    public void A_run_within_a_run_is_served_by_the_same_daemon() => Assert.Equal("ABC\n", Client.Run(
        Daemon.Path, PublishedProgram.Path, "run", "--socket", "/nonexistent.sock", "--", PublishedProgram.Path, "run", "--", "python3", "-c",
        "import socket; s = socket.socket(16, 3, 6); s.send(b'abc'); print(s.recv(9).decode())").Output);

    [Fact]
    public void Programs_that_are_not_about_ipsec_run_as_ever()
    {
        Client.Result result = Shell("ip -o link show lo | cut -d: -f2; python3 -c 'import subprocess; print(subprocess.run([\"uname\"], capture_output=True).stdout)'");
        Assert.Equal((" lo\nb'Linux\\n'\n", 0), (result.Output, result.ExitCode));
    }

    [Fact]
    public void When_the_daemon_is_killed_its_clients_get_errors_and_do_not_hang()
    {
        using TestFolder folder = new();
        string path = folder["control.sock"];
        using Process daemon = Client.StartPlain(path, "dotnet", typeof(EchoDaemon).Assembly.Location, path);
        Assert.Equal("ready", daemon.StandardOutput.ReadLine());
        Process client = Client.Start(path, "python3", "-c", """
            import errno, socket, sys, threading, time
            s = socket.socket(16, 3, 6); t = socket.socket(16, 3, 6); got = []
            def hear():
                try: got.append(t.recv(9))
                except OSError: got.append(b'')   # killed before the call had gone on into the kernel
            threading.Thread(target=hear).start()
            print('open', flush=True); sys.stdin.readline()
            for call in (lambda: s.send(b'abc'), lambda: s.recvfrom(9), lambda: s.recv(9), lambda: s.getsockname(), lambda: s.bind((0, 0)), lambda: socket.socket(16, 3, 6)):
                try: call(); print('no error')
                except OSError as e: print('error')
            time.sleep(0.2); print(got)
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(b'x', ('127.0.0.1', 9)); print('alive')
            """);
        Assert.Equal("open", client.StandardOutput.ReadLine());
        daemon.Kill();
        daemon.WaitForExit();
        client.StandardInput.WriteLine();
        Client.Result result = Client.Finish(client);
        Assert.Equal(("error\nerror\nerror\nerror\nerror\nerror\n[b'']\nalive\n", 0), (result.Output, result.ExitCode));
    }

    [Fact]
    public void A_daemon_replaces_the_socket_of_a_dead_one_and_leaves_a_live_one_alone()
    {
        using TestFolder folder = new();
        string path = folder["control.sock"];
        using (Process first = Client.StartPlain(path, "dotnet", typeof(EchoDaemon).Assembly.Location, path))
        {
            Assert.Equal("ready", first.StandardOutput.ReadLine());
            Assert.Equal(98, Assert.Throws<Linux.LinuxException>(() => new EchoDaemon(path)).Errno);
            first.Kill();
            first.WaitForExit();
        }
        using EchoDaemon second = new(path);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Equal(0, Client.Run(path, "true").ExitCode);
    }
}
