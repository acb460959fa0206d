using System.CommandLine;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Cli.Control;
using Xfrmd.Datapath.Steering;
using Xfrmd.Linux;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd flush</c>.</summary>
internal static class FlushCommand
{
    public static CliCommand Create()
    {
        Option<string?> socket = CommonOptions.Socket();
        return new CliCommand("flush", "Remove all SAs and policies; or what a killed daemon left behind.", "xfrmd flush")
        {
            socket,
        }.Explained("""
                Of this network namespace. Where no daemon runs it removes the rules, routes and tables of one that was killed: they refuse the
                traffic that was protected until then, and the next 'xfrmd serve' removes them too.
                """).Does(parsed => Execute(CommonOptions.SocketOf(parsed, socket)));
    }

    private static int Execute(string socket)
    {
        if (!ControlClient.IsDaemonAt(socket))
        {
            return RemoveLeftovers(socket);
        }
        FlushReport report = Daemon.Ask(socket, new ControlRequest { Command = "flush" }, ControlJson.Default.FlushReport);
        Console.WriteLine($"removed {report.Sas} SAs and {report.Policies} policies");
        return ExitCode.Done;
    }

    private static int RemoveLeftovers(string socket)
    {
        SteeringOptions options = new();
        string device = options.Tun.Name;
        if (Directory.Exists("/sys/class/net/" + device))
        {
            throw new ControlException($"no daemon at {socket}, but {device} says that one serves this network namespace: name its socket with --socket");
        }
        try
        {
            using SafeFileHandle netns = File.OpenHandle("/proc/self/ns/net");
            int removed = NetfilterSteering.RemoveLeftovers(netns, options);
            Console.WriteLine($"no daemon at {socket}; removed {removed} rules and routes that a killed one had left");
            return ExitCode.Done;
        }
        catch (LinuxException failure)
        {
            throw new ControlException($"no daemon at {socket}, and what a killed one may have left cannot be removed ({failure.Message}): run this as root");
        }
    }
}
