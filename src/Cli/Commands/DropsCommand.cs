using System.CommandLine;
using System.Globalization;
using Xfrmd.Cli.Control;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd drops</c>.</summary>
internal static class DropsCommand
{
    public static CliCommand Create()
    {
        (Option<string?> socket, Option<bool> json) = (CommonOptions.Socket(), CommonOptions.Json());
        Option<bool> follow = new("--follow", "-f") { Description = "Go on until Ctrl-C; otherwise one second is watched." };
        return new CliCommand("drops", "Which packets are lost right now: of each kind how many, which flow, why.", "xfrmd drops --follow", "xfrmd drops --json")
        {
            socket, json, follow,
        }.Explained("What was lost before is counted by 'xfrmd stats'. With --json each second is one line, an array.").Does(parsed => Execute(CommonOptions.SocketOf(parsed, socket), parsed.GetValue(json), parsed.GetValue(follow)));
    }

    private static int Execute(string socket, bool json, bool follow)
    {
        using ControlClient client = new(socket);
        client.Ask(new ControlRequest { Command = "drops" });
        if (follow && !json)
        {
            Console.Error.WriteLine("xfrmd drops: watching; Ctrl-C ends it");
        }
        do
        {
            if (json)
            {
                Console.Out.WriteLine(client.ReadLine());
                continue;
            }
            DropReport[] drops = client.Read(ControlJson.Default.DropReportArray);
            foreach (DropReport drop in drops)
            {
                Console.WriteLine($"{Paint.Bad(drop.Counter)} {drop.Packets.ToString(CultureInfo.InvariantCulture)}/s  {drop.Flow}: {drop.Why}{(drop.Nearest is { } nearest ? $" ({nearest})" : "")}");
            }
            if (!follow && drops.Length == 0)
            {
                Console.WriteLine("no packet was lost within this second; --follow goes on watching, 'xfrmd stats' has what was counted before");
            }
        }
        while (follow);
        return ExitCode.Done;
    }
}
