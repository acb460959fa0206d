using System.CommandLine;
using Xfrmd.Attach;
using Xfrmd.Cli.Control;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd policy</c>: <c>ip</c> itself prints it.</summary>
internal static class PolicyCommand
{
    public static CliCommand Create()
    {
        (Option<string?> socket, Option<bool> json) = (CommonOptions.Socket(), CommonOptions.Json());
        return new CliCommand("policy", "The policies, as 'ip -s xfrm policy' prints them.", "xfrmd policy", "xfrmd policy --json")
        {
            socket, json,
        }.Does(parsed => parsed.GetValue(json)
            ? Daemon.PrintJson(CommonOptions.SocketOf(parsed, socket), new ControlRequest { Command = "policy" })
            : Launcher.RunOwn(CommonOptions.SocketOf(parsed, socket), "policy", ["ip", "-s", "xfrm", "policy", "list"]));
    }
}
