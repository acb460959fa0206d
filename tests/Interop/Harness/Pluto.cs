using System.Globalization;
using System.Text.RegularExpressions;

namespace Xfrmd.Interop.Harness;

/// <summary>
/// Debian's libreswan, attached to xfrmd. Its programs, which look for each other in /usr/libexec/ipsec, are seen there by nobody else; its
/// /run is the machine's own.
/// </summary>
public sealed partial class Pluto
{
    private const string Package = "libreswan", ProgramFolder = "/usr/libexec/ipsec", ControlSocket = "/run/pluto/pluto.ctl";
    private static int _count;
    private readonly Host _host;
    private readonly string _base;

    /// <param name="host">Where it runs.</param>
    /// <param name="daemon">What it is attached to.</param>
    /// <param name="folder">Takes its files.</param>
    public Pluto(Host host, XfrmdDaemon daemon, string folder)
    {
        _host = host;
        _base = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{host.Name}-pluto-{Interlocked.Increment(ref _count)}"));
        string database = _base + ".nss", own = _base + ".d";
        Directory.CreateDirectory(database);
        Directory.CreateDirectory(Path.Combine(own, "policies"));
        Directory.CreateDirectory(Path.Combine(host.RunFolder, "pluto"));
        // As `ipsec initnss` does.
        Command.Run([Toolbox.Find("certutil"), "-N", "-d", "sql:" + database, "--empty-password"]).OrFail();
        File.WriteAllText(_base + ".conf", "config setup\n    ikev1-policy=accept\n");
        File.WriteAllText(_base + ".secrets", $": PSK \"{Swanctl.Secret}\"\n");
        string ipsec = Path.GetDirectoryName(Toolbox.FindAside(Package, "/usr/sbin/ipsec"))!;
        Process = host.Start(
            "pluto",
            [
                "/bin/sh", "-c", "mount -t tmpfs none /usr/libexec && mkdir \"$0\" && mount --bind \"$1\" \"$0\" && shift && exec \"$@\"", ProgramFolder, Path.GetDirectoryName(Find("pluto"))!,
                "/usr/bin/env", $"IPSEC_SBINDIR={ipsec}", $"PATH={ipsec}:/usr/sbin:/usr/bin:/sbin:/bin",
                .. daemon.Attached(
                    ProgramFolder + "/pluto", "--nofork", "--stderrlog", "--config", _base + ".conf", "--secretsfile", _base + ".secrets", "--nssdir", database,
                    "--ipsecdir", own, "--rundir", "/run/pluto"),
            ]);
        Wait.Until(() => Process.HasExited || Process.Log.Contains("loading secrets from", StringComparison.Ordinal), $"{Process.Name} listens");
        Assert.False(Process.HasExited, $"{Process.Name} ended:\n{Process.Log}");
    }

    public BackgroundProcess Process { get; }

    /// <summary>Adds a connection with the one secret: lines of ipsec.conf(5), parted by semicolons.</summary>
    public void Load(string name, string lines)
    {
        string file = $"{_base}-{name}.conf";
        File.WriteAllText(file, $"conn {name}\n    authby=secret\n{string.Concat(lines.Split(';', StringSplitOptions.TrimEntries).Select(line => $"    {line}\n"))}");
        _host.Do(Find("addconn"), "--ctlsocket", ControlSocket, "--config", file, name);
    }

    /// <summary>Runs whack, which most of ipsec(8) comes down to.</summary>
    public CommandResult Whack(params string[] arguments) => _host.Run(TimeSpan.FromSeconds(60), [Find("whack"), "--ctlsocket", ControlSocket, .. arguments]);

    /// <summary>Brings a connection up.</summary>
    public void Initiate(string name)
    {
        CommandResult result = Whack("--initiate", "--name", name);
        Assert.True(UpInIkeV1Or2().IsMatch(result.Output), $"{_host.Name} initiates {name}: {result.Output}{result.Errors}");
    }

    /// <summary>Ends a connection and forgets it.</summary>
    public void Delete(string name) => Whack("--delete", "--name", name);

    /// <summary>How often a line of the log matches.</summary>
    public int CountInLog(string pattern) => Regex.Count(Process.Log, pattern, RegexOptions.Multiline);

    public void WaitForLog(string pattern, int times = 1, TimeSpan? timeout = null) =>
        Wait.Until(() => CountInLog(pattern) >= times, $"{Process.Name} logs /{pattern}/ {times} times", timeout);

    /// <summary>The kernel interface has nothing to complain about, and the program has not found itself in error.</summary>
    public void AssertNoKernelErrors()
    {
        string[] complaints = [.. Process.Log.Split('\n').Where(line => KernelComplaint().IsMatch(line))];
        Assert.True(complaints.Length == 0, $"{Process.Name} complains:\n{string.Join('\n', complaints)}");
    }

    private static string Find(string program) => Toolbox.FindAside(Package, ProgramFolder + "/" + program);

    [GeneratedRegex("initiator established Child SA|IPsec SA established")]
    private static partial Regex UpInIkeV1Or2();

    [GeneratedRegex("ERROR|ABORT|ASSERTION|EXPECTATION FAILED|netlink (response|read|write|recv|ext_ack)|setsockopt|failed to (open|write|read)|kernel: |XFRM_MSG", RegexOptions.IgnoreCase)]
    private static partial Regex KernelComplaint();
}
