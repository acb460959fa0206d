using System.Globalization;
using System.Text.RegularExpressions;

namespace Xfrmd.Interop.Harness;

/// <summary>One machine of a lab: a network namespace, its devices and the programs that run in it.</summary>
public sealed partial class Host
{
    private static int _started;
    private readonly Lab _lab;

    internal Host(Lab lab, string name)
    {
        _lab = lab;
        Name = name;
        Namespace = lab.Prefix + name;
        RunFolder = Path.Combine(lab.Folder, name + ".run");
        Directory.CreateDirectory(RunFolder);
    }

    public string Name { get; }

    /// <summary>The name below /run/netns.</summary>
    public string Namespace { get; }

    /// <summary>What the programs of this machine see as /run, so that pid files and sockets of two machines do not meet.</summary>
    public string RunFolder { get; }

    /// <summary>What to ask here where a test has failed.</summary>
    public List<string[]> Questions { get; } =
    [
        [Toolbox.Find("ip"), "-br", "addr"], [Toolbox.Find("ip"), "rule"], [Toolbox.Find("ip"), "route", "show", "table", "all"], [Toolbox.Find("ip"), "-6", "route", "show", "table", "all"],
        ["/bin/sh", "-c", "nft list ruleset | grep -A1 counter"], ["/bin/sh", "-c", "grep -E '^(Udp|Ip):' /proc/net/snmp"], [Toolbox.Find("ip"), "-s", "link"],
    ];

    /// <summary>Runs a program here.</summary>
    public CommandResult Run(params string[] command) => Command.Run(Inside(command));

    public CommandResult Run(TimeSpan timeout, params string[] command) => Command.Run(Inside(command), timeout: timeout);

    /// <summary>Runs a program here and expects success.</summary>
    public string Do(params string[] command) => Run(command).OrFail().Output;

    /// <summary>Feeds lines to <c>ip -batch</c>.</summary>
    public void Ip(string lines) => Command.Run([Toolbox.Find("ip"), "-n", Namespace, "-batch", "-"], lines).OrFail();

    /// <summary>Feeds lines to <c>nft</c>.</summary>
    public void Nft(string lines) => Command.Run(Inside([Toolbox.Find("nft"), "-f", "-"]), lines + "\n").OrFail();

    /// <summary>Runs a shell line here.</summary>
    public string Shell(string line) => Do("/bin/sh", "-c", line);

    public void Sysctl(string name, string value) => Shell($"echo {value} > /proc/sys/net/{name}");

    /// <summary>Starts a program that stays; the lab ends it.</summary>
    public BackgroundProcess Start(string name, params string[] command) =>
        _lab.Track(BackgroundProcess.Start($"{Name} {name}", Inside(command), Path.Combine(_lab.Folder, $"{Name}-{name}-{Interlocked.Increment(ref _started)}.log")));

    /// <summary>The command that runs another one here, with this machine's own /run.</summary>
    public string[] Inside(IEnumerable<string> command) =>
    [
        Toolbox.Find("ip"), "netns", "exec", Namespace,
        "/bin/sh", "-c", "mount --bind \"$0\" /run && exec \"$@\"", RunFolder, .. command,
    ];

    /// <summary>Sends echo requests and says how many came back.</summary>
    /// <param name="address">Whom.</param>
    /// <param name="count">How many.</param>
    /// <param name="size">Bytes of payload.</param>
    /// <param name="dontFragment">With DF.</param>
    /// <param name="from">An own address or device.</param>
    /// <param name="interval">Seconds between two.</param>
    /// <param name="wait">Seconds for an answer where none has come at all: else ping gives the last one two round trips or an interval.</param>
    /// <param name="deadline">Seconds for all answers: meanwhile it goes on to send, and only the first ones are looked at.</param>
    public PingResult Ping(
        string address, int count = 3, int size = 56, bool dontFragment = false, string? from = null, double interval = 0.1, double wait = 1, int? deadline = null)
    {
        List<string> command = [Toolbox.Find("ping"), "-n", "-c", Text(count), "-s", Text(size), "-i", Text(interval), "-W", Text(wait)];
        // Over IPv6 only the sender may cut, and it does so by what it has learned.
        command.AddRange(["-M", dontFragment ? "do" : address.Contains(':', StringComparison.Ordinal) ? "want" : "dont"]);
        command.AddRange(from is null ? [] : ["-I", from]);
        command.AddRange(deadline is { } seconds ? ["-w", Text(seconds)] : []);
        command.Add(address);
        CommandResult result = Command.Run(Inside(command));
        if (deadline is not null)
        {
            int answered = PingAnswer().Matches(result.Output).Select(m => int.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture)).Where(number => number <= count).Distinct().Count();
            return new PingResult(count, answered, result.Output + result.Errors);
        }
        Match match = PingSummary().Match(result.Output);
        return new PingResult(
            match.Success ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : 0,
            match.Success ? int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture) : 0,
            result.Output + result.Errors);
    }

    /// <summary>Every echo request comes back.</summary>
    public void PingsThrough(string address, int count = 3, int size = 56, bool dontFragment = false, string? from = null)
    {
        // However slow the machine is: an answer may be late, but each of the first ones must come.
        PingResult ping = Ping(address, count, size, dontFragment, from, deadline: 20);
        Assert.True(ping.Received == count, $"{Name} pings {address} ({size} bytes): {ping.Received} of {count} came back\n{ping.Text}");
    }

    /// <summary>Sooner or later echo requests come back again.</summary>
    public void PingsAgain(string address) =>
        Wait.Until(() => Ping(address, count: 2, wait: 0.5).Received == 2, $"{Name} pings {address} again");

    /// <summary>No echo request comes back.</summary>
    public void PingsInVain(string address, int count = 2, string? from = null)
    {
        PingResult ping = Ping(address, count, from: from, interval: 0.2, wait: 0.5);
        Assert.True(ping.Received == 0, $"{Name} pings {address}, which must not answer: {ping.Received} of {count} came back\n{ping.Text}");
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"icmp_seq=(\d+) ttl=")]
    private static partial Regex PingAnswer();

    [GeneratedRegex(@"(\d+) packets transmitted, (\d+) received")]
    private static partial Regex PingSummary();
}
