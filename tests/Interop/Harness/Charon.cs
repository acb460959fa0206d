using System.Text.RegularExpressions;

namespace Xfrmd.Interop.Harness;

/// <summary>Debian's charon with Debian's configuration, attached to xfrmd. Its /run is the machine's own.</summary>
public sealed partial class Charon
{
    public const string DefaultProgram = "/usr/lib/ipsec/charon";
    private readonly Host _host;
    private static int _count;
    private readonly string _folder;
    private readonly string _logFile;

    /// <param name="host">Where it runs.</param>
    /// <param name="daemon">What it is attached to.</param>
    /// <param name="folder">Takes its files.</param>
    /// <param name="program">charon or charon-systemd.</param>
    /// <param name="options">Lines for its section of strongswan.conf, after Debian's own.</param>
    public Charon(Host host, XfrmdDaemon daemon, string folder, string program = DefaultProgram, string options = "")
    {
        (_host, _folder) = (host, folder);
        string name = Path.GetFileName(program);
        _logFile = Path.Combine(folder, $"{host.Name}-{name}-{Interlocked.Increment(ref _count)}.log");
        string configuration = Path.ChangeExtension(_logFile, ".conf");
        // Debian's file as it is; only that each line of the log is written at once.
        File.WriteAllText(configuration, $"include /etc/strongswan.conf\n{name} {{\n  filelog {{\n    log {{\n      path = {_logFile}\n      flush_line = yes\n      default = 1\n    }}\n  }}\n  {options}\n}}\n");
        // What the last charon of this machine left would be taken for the new one's.
        File.Delete(Path.Combine(host.RunFolder, "charon.vici"));
        File.Delete(Path.Combine(host.RunFolder, "charon.pid"));
        Process = host.Start(name, ["/usr/bin/env", "STRONGSWAN_CONF=" + configuration, .. daemon.Attached(Toolbox.Find(program))]);
        Process.LogFile = _logFile;
        Wait.Until(() => Process.HasExited || File.Exists(Path.Combine(host.RunFolder, "charon.vici")), $"{Process.Name} opens its vici socket");
        Assert.False(Process.HasExited, $"{Process.Name} ended:\n{Process.Log}");
    }

    public BackgroundProcess Process { get; }

    public string Log => Process.Log;

    public CommandResult Swanctl(params string[] arguments) => _host.Run(TimeSpan.FromSeconds(60), [Toolbox.Find("swanctl"), .. arguments]);

    /// <summary>Replaces what is configured by this swanctl.conf.</summary>
    public void Load(string configuration)
    {
        string file = Path.Combine(_folder, $"{_host.Name}-swanctl.conf");
        File.WriteAllText(file, configuration);
        Swanctl("--load-all", "--clear", "--file", file).OrFail();
    }

    /// <summary>Brings up a CHILD_SA.</summary>
    public void Initiate(string child)
    {
        CommandResult result = Swanctl("--initiate", "--child", child, "--timeout", "20");
        Assert.True(result.ExitCode == 0, $"{_host.Name} initiates {child}: {result.Output}{result.Errors}");
    }

    /// <summary>Ends an IKE_SA with all its children.</summary>
    public void Terminate(string connection) => Swanctl("--terminate", "--ike", connection, "--timeout", "10").OrFail();

    /// <summary>Ends every IKE_SA; one that the peer ends at the same time is no failure.</summary>
    public void TerminateAll()
    {
        foreach (Match sa in ListedIkeSa().Matches(ListSas()))
        {
            Swanctl("--terminate", "--ike-id", sa.Groups[1].Value, "--timeout", "10");
        }
    }

    public void TerminateChild(string child) => Swanctl("--terminate", "--child", child, "--timeout", "10").OrFail();

    public string ListSas() => Swanctl("--list-sas").OrFail().Output;

    /// <summary>How often a line of the log matches.</summary>
    public int CountInLog(string pattern) => Regex.Count(Log, pattern, RegexOptions.Multiline);

    public void WaitForLog(string pattern, int times = 1, TimeSpan? timeout = null) =>
        Wait.Until(() => CountInLog(pattern) >= times, $"{_host.Name}'s charon logs /{pattern}/ {times} times", timeout);

    /// <summary>The kernel interface has nothing to complain about.</summary>
    public void AssertNoKernelErrors()
    {
        string[] complaints = [.. Log.Split('\n').Where(line => KernelComplaint().IsMatch(line))];
        Assert.True(complaints.Length == 0, $"{_host.Name}'s charon complains:\n{string.Join('\n', complaints)}");
    }

    [GeneratedRegex(@"^\S+: #(\d+),", RegexOptions.Multiline)]
    private static partial Regex ListedIkeSa();

    [GeneratedRegex(@"^\d\d\[KNL\].*(error|fail|unable|unknown|not found|invalid|refused|not supported|denied|exceeds|missing|too )|received netlink error|installing IKE bypass policy failed|enabling UDP decapsulation .* failed|unable to (install|add|delete|query|get)", RegexOptions.IgnoreCase)]
    private static partial Regex KernelComplaint();
}
