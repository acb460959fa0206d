using System.CommandLine;
using Xfrmd.Attach;
using Xfrmd.Cli.Control;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd state</c>: <c>ip</c> itself prints it.</summary>
internal static class StateCommand
{
    public static CliCommand Create()
    {
        (Option<string?> socket, Option<bool> json, Option<bool> keys) = (CommonOptions.Socket(), CommonOptions.Json(), CommonOptions.ShowKeys());
        return new CliCommand("state", "The SAs, as 'ip -s xfrm state' prints them.", "xfrmd state", "xfrmd state --json --show-keys")
        {
            socket, json, keys,
        }.Does(parsed => parsed.GetValue(json)
            ? Daemon.PrintJson(CommonOptions.SocketOf(parsed, socket), new ControlRequest { Command = "state", ShowKeys = parsed.GetValue(keys) })
            : Launcher.RunOwn(CommonOptions.SocketOf(parsed, socket), "state", ["ip", "-s", "xfrm", "state", "list", .. parsed.GetValue(keys) ? [] : (string[])["nokeys"]]));
    }
}
