using System.Globalization;
using System.Text;

namespace Xfrmd.Interop.Harness;

/// <summary>
/// A set of machines made of network namespaces. Everything in it carries a prefix with the test's pid, and all of it is gone after
/// <see cref="Dispose"/>; what a killed run left is removed by the next lab that is made.
/// </summary>
public sealed class Lab : IDisposable
{
    private static int _count;
    private readonly List<Host> _hosts = [];
    private readonly List<BackgroundProcess> _processes = [];

    public Lab()
    {
        Leftovers.Remove();
        int number = Interlocked.Increment(ref _count);
        Prefix = string.Create(CultureInfo.InvariantCulture, $"{Leftovers.Prefix}{Environment.ProcessId}.{number}-");
        Folder = Path.Combine(Path.GetTempPath(), Prefix + "lab");
        Directory.CreateDirectory(Folder);
    }

    /// <summary>Begins the name of every namespace of this lab.</summary>
    public string Prefix { get; }

    /// <summary>Logs, configurations, captures, sockets.</summary>
    public string Folder { get; }

    public Host AddHost(string name)
    {
        Host host = new(this, name);
        Command.Run([Toolbox.Find("ip"), "netns", "add", host.Namespace]).OrFail();
        _hosts.Add(host);
        host.Sysctl("ipv6/conf/all/accept_dad", "0");
        host.Sysctl("ipv6/conf/default/accept_dad", "0");
        host.Ip("link set lo up");
        return host;
    }

    /// <summary>Joins two machines by a veth pair.</summary>
    public void Link(Host one, string oneDevice, Host other, string otherDevice)
    {
        one.Ip($"link add {oneDevice} type veth peer name {otherDevice} netns {other.Namespace}\nlink set dev {oneDevice} up");
        other.Ip($"link set dev {otherDevice} up");
    }

    /// <summary>The end of every log and the routing of every machine, for a failed test.</summary>
    public string Logs(int linesEach = 120)
    {
        StringBuilder text = new();
        foreach (BackgroundProcess process in _processes)
        {
            string[] lines = process.Log.Split('\n');
            text.AppendLine(CultureInfo.InvariantCulture, $"=== {process.Name} ({(process.HasExited ? $"ended with {process.ExitCode}" : "runs")})");
            text.AppendJoin('\n', lines.TakeLast(linesEach)).AppendLine();
        }
        foreach (Host host in _hosts)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"=== {host.Name}");
            foreach (string[] command in host.Questions)
            {
                text.AppendLine(string.Join(' ', command)).AppendLine(host.Run(command).Output);
            }
        }
        return text.ToString();
    }

    public void Dispose()
    {
        for (int i = _processes.Count - 1; i >= 0; i--)
        {
            _processes[i].Dispose();
        }
        foreach (Host host in _hosts)
        {
            Leftovers.RemoveNamespace(host.Namespace);
        }
        Directory.Delete(Folder, recursive: true);
    }

    internal BackgroundProcess Track(BackgroundProcess process)
    {
        _processes.Add(process);
        return process;
    }
}
