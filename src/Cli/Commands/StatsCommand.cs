using System.CommandLine;
using System.Globalization;
using Xfrmd.Cli.Control;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd stats</c>.</summary>
internal static class StatsCommand
{
    public static CliCommand Create()
    {
        (Option<string?> socket, Option<bool> json) = (CommonOptions.Socket(), CommonOptions.Json());
        Option<bool> all = new("--all", "-a") { Description = "Counters that are 0 too." };
        Option<bool> prometheus = new("--prometheus") { Description = "For Prometheus, with how many SAs and policies there are: its text format." };
        return new CliCommand("stats", "The counters of /proc/net/xfrm_stat: what each means and what to do.", "xfrmd stats", "xfrmd stats --all",
            "xfrmd stats --prometheus > /var/lib/prometheus/node-exporter/xfrmd.prom")
        {
            socket, json, all, prometheus,
        }.Does(parsed => parsed.GetValue(prometheus)
            ? Expose(CommonOptions.SocketOf(parsed, socket))
            : Execute(CommonOptions.SocketOf(parsed, socket), parsed.GetValue(json), parsed.GetValue(all)));
    }

    private static int Expose(string socket)
    {
        StatusReport status = Daemon.Ask(socket, new ControlRequest { Command = "status" }, ControlJson.Default.StatusReport);
        Exposition.Write(Console.Out, status, Daemon.Ask(socket, new ControlRequest { Command = "stats" }, ControlJson.Default.CounterReportArray));
        return ExitCode.Done;
    }

    private static int Execute(string socket, bool json, bool all)
    {
        ControlRequest request = new() { Command = "stats" };
        if (json)
        {
            return Daemon.PrintJson(socket, request);
        }
        CounterReport[] counters = Daemon.Ask(socket, request, ControlJson.Default.CounterReportArray);
        bool any = false;
        foreach (CounterReport counter in counters.Where(c => all || c.Value != 0))
        {
            any = true;
            string value = counter.Value == 0 ? Paint.Faint("0") : Paint.Bad(counter.Value.ToString(CultureInfo.InvariantCulture));
            Console.WriteLine($"{counter.Name,-24} {value}");
            Console.WriteLine($"    {counter.Meaning}");
            if (counter.Value != 0 && counter.Advice.Length > 0)
            {
                Console.WriteLine($"    → {counter.Advice}");
            }
        }
        if (!any)
        {
            Console.WriteLine("No packet was lost: all counters are 0 (--all shows them).");
        }
        return ExitCode.Done;
    }
}
