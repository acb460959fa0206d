using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>What cannot work says in one line what, why and what to do.</summary>
[Collection(Alone.Name)]
public sealed class FailureMessageTests(ITestOutputHelper output) : Scenario(output)
{
    [Fact]
    public void Serve_without_root_says_so()
    {
        CommandResult result = Command.Run([Toolbox.Find("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", Toolbox.Xfrmd, "serve", "--socket", "/tmp/xfrmd-nobody.sock"]);
        AssertOneLine(result, 1, "root");
    }

    [Fact]
    public void Serve_without_a_tun_device_says_so() => InLab(host =>
    {
        CommandResult result = host.Run("/bin/sh", "-c", $"mount -t tmpfs none /dev && exec {Toolbox.Xfrmd} serve --socket {host.RunFolder}/x.sock");
        AssertOneLine(result, 1, "/dev/net/tun");
    });

    [Fact]
    public void Serve_on_a_taken_socket_says_so() => InLab(host =>
    {
        XfrmdDaemon daemon = new(host, host.RunFolder);
        AssertOneLine(host.Run(Toolbox.Xfrmd, "serve", "--socket", daemon.Socket), 1, daemon.Socket);
        // One that a killed daemon left is no obstacle.
        daemon.Process.Stop("KILL");
        BackgroundProcess next = host.Start("next", Toolbox.Xfrmd, "serve", "--socket", daemon.Socket);
        Wait.Until(() => host.Run(Toolbox.Xfrmd, "run", "--socket", daemon.Socket, "--", "/bin/true").ExitCode == 0, "the next daemon serves");
        Assert.False(next.HasExited);
    });

    [Fact]
    public void Run_without_a_daemon_says_so() => InLab(host =>
        AssertOneLine(host.Run(Toolbox.Xfrmd, "run", "--socket", "/run/none.sock", "--", "/bin/true"), 125, "/run/none.sock", "xfrmd serve"));

    [Fact]
    public void Run_without_a_program_says_so() => InLab(host => AssertOneLine(host.Run(Toolbox.Xfrmd, "run", "--"), 125, "program"));

    [Fact]
    public void Run_of_a_program_that_is_not_there_or_not_executable_ends_as_in_a_shell() => InLab(host =>
    {
        XfrmdDaemon daemon = new(host, host.RunFolder);
        AssertOneLine(host.Run(daemon.Attached("/no/such/program")), 127, "/no/such/program");
        AssertOneLine(host.Run(daemon.Attached("/etc/passwd")), 126, "/etc/passwd");
    });

    [Fact]
    public void Run_without_seccomp_notification_says_so() => InLab(host =>
    {
        // A supervisor above (here: a filter that forbids seccomp(2)) leaves no way to attach.
        XfrmdDaemon daemon = new(host, host.RunFolder);
        CommandResult result = host.Run([Toolbox.Find("python3"), "-c", ForbidSeccomp, .. daemon.Attached("/bin/true")]);
        AssertOneLine(result, 125, "seccomp");
    });

    private const string ForbidSeccomp = """
        import ctypes, os, struct, sys
        libc = ctypes.CDLL(None, use_errno=True)
        code = b"".join(struct.pack("HBBI", *i) for i in [(0x20, 0, 0, 0), (0x15, 0, 1, 317), (6, 0, 0, 0x00050000 | 38), (6, 0, 0, 0x7fff0000)])
        buffer = ctypes.create_string_buffer(code)
        program = struct.pack("HxxxxxxQ", 4, ctypes.addressof(buffer))
        assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
        os.execv(sys.argv[1], sys.argv[1:])
        """;

    private static void AssertOneLine(CommandResult result, int exitCode, params string[] words)
    {
        string text = result.Output + result.Errors;
        Assert.True(result.ExitCode == exitCode, $"`{result.CommandLine}` ended with {result.ExitCode} instead of {exitCode}:\n{text}");
        Assert.True(text.TrimEnd('\n').Split('\n').Length == 1, $"more than one line:\n{text}");
        Assert.All(words, word => Assert.Contains(word, text, StringComparison.Ordinal));
    }

    private void InLab(Action<Host> story)
    {
        using Lab lab = new();
        Host host = lab.AddHost("host");
        Play(lab, () => story(host));
    }
}
