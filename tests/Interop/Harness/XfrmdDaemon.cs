using System.Text.Json;

namespace Xfrmd.Interop.Harness;

/// <summary>A running <c>xfrmd serve</c>.</summary>
public sealed class XfrmdDaemon
{
    public XfrmdDaemon(Host host, string folder, string name = "xfrmd", params string[] options)
        : this(host, folder, [], name, options)
    {
    }

    /// <param name="host">Where.</param>
    /// <param name="folder">For its socket.</param>
    /// <param name="by">A program, with its options, that starts it in its own way.</param>
    /// <param name="name">To tell it from others.</param>
    /// <param name="options">Of <c>xfrmd serve</c>.</param>
    public XfrmdDaemon(Host host, string folder, string[] by, string name = "xfrmd", params string[] options)
    {
        Socket = Path.Combine(folder, $"{host.Name}-{name}.sock");
        host.Questions.Add([Toolbox.Xfrmd, "stats", "--socket", Socket]);
        Process = host.Start(name, [.. by, Toolbox.Xfrmd, "serve", "--socket", Socket, .. options]);
        Wait.Until(() => Process.HasExited || File.Exists(Socket), $"{Process.Name} opens {Socket}");
        Assert.False(Process.HasExited, $"{Process.Name} ended with {(Process.HasExited ? Process.ExitCode : 0)}:\n{Process.Log}");
    }

    public string Socket { get; }

    public BackgroundProcess Process { get; }

    /// <summary>The command that runs a program attached to this daemon.</summary>
    public string[] Attached(params string[] command) => [Toolbox.Xfrmd, "run", "--socket", Socket, "--", .. command];

    /// <summary>Runs <c>ip xfrm …</c> of a machine against this daemon.</summary>
    public string IpXfrm(Host host, string arguments) =>
        host.Do(Attached([Toolbox.Find("ip"), "xfrm", .. arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries)]));

    /// <summary>The counters of /proc/net/xfrm_stat of a machine that are not 0.</summary>
    public IReadOnlyDictionary<string, long> Counters(Host host)
    {
        using JsonDocument stats = JsonDocument.Parse(host.Do(Toolbox.Xfrmd, "stats", "--socket", Socket, "--json"));
        return stats.RootElement.EnumerateArray()
            .Select(counter => (Name: counter.GetProperty("name").GetString() ?? string.Empty, Value: counter.GetProperty("value").GetInt64()))
            .Where(counter => counter.Value != 0)
            .ToDictionary(counter => counter.Name, counter => counter.Value);
    }

    /// <summary>Feeds lines that begin after "xfrm" to <c>ip -batch</c>.</summary>
    public void IpXfrmBatch(Host host, string lines)
    {
        string batch = string.Join('\n', lines.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(line => "xfrm " + line)) + "\n";
        Command.Run(host.Inside(Attached(Toolbox.Find("ip"), "-batch", "-")), batch).OrFail();
    }
}
