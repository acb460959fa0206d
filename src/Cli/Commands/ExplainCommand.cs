using System.CommandLine;
using System.Net;
using System.Net.NetworkInformation;
using Xfrmd.Cli.Control;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd explain</c>: routing is asked here, in the namespace of who asks; the rest by the daemon.</summary>
internal static class ExplainCommand
{
    public static CliCommand Create()
    {
        (Option<string?> socket, Option<bool> json) = (CommonOptions.Socket(), CommonOptions.Json());
        Argument<string> source = new("src") { Description = "Source address of the packet." };
        Argument<string> destination = new("dst") { Description = "Destination address." };
        Argument<string> protocol = new("proto") { Description = "tcp, udp, icmp, icmpv6, esp, ah, any or a number below 256.", DefaultValueFactory = _ => "any" };
        Argument<ushort> port = new("port") { Description = "Destination port.", DefaultValueFactory = _ => 0 };
        Option<ushort> sport = new("--sport") { HelpName = "PORT", Description = "Source port." };
        Option<string?> mark = new("--mark") { HelpName = "MARK", Description = "The packet's mark, for instance 0x2a." };
        Option<uint> ifId = new("--if-id") { HelpName = "N", Description = "The if_id of the device that it passes." };
        Option<string?> direction = new("--dir") { HelpName = "out|in|fwd", Description = "The way; otherwise as the addresses say." };
        direction.AcceptOnlyFromAmong("out", "in", "fwd");
        return new CliCommand("explain", "The way of a packet: route, policy, templates, SA, socket; or where it is dropped and why.",
            "xfrmd explain 10.1.0.1 10.2.0.1", "xfrmd explain 10.1.0.1 10.2.0.1 tcp 443", "xfrmd explain 10.2.0.1 10.1.0.1 --dir fwd")
        {
            source, destination, protocol, port, sport, mark, ifId, direction, socket, json,
        }.Explained("""
                It asks what decides about packets and changes nothing: no SA is asked for. The verdict is one of protected (leaves through an SA),
                opened (must come through an SA, which is there), clear (no policy asks for protection), pending (an SA is missing and would be asked
                for), dropped. Where nothing matches, what came nearest is named with what differs.
                """,
            "1 also where it would be dropped or is pending").Does(parsed => Execute(CommonOptions.SocketOf(parsed, socket), parsed.GetValue(json), new ExplainQuery
            {
                Source = Address(parsed.GetValue(source)!),
                Destination = Address(parsed.GetValue(destination)!),
                Protocol = Protocol(parsed.GetValue(protocol)!),
                SourcePort = parsed.GetValue(sport),
                DestinationPort = parsed.GetValue(port),
                Mark = Mark(parsed.GetValue(mark)),
                IfId = parsed.GetValue(ifId),
                Direction = parsed.GetValue(direction),
            }));
    }

    private static int Execute(string socket, bool json, ExplainQuery query)
    {
        (IPAddress source, IPAddress destination) = (IPAddress.Parse(query.Source), IPAddress.Parse(query.Destination));
        if (source.AddressFamily != destination.AddressFamily)
        {
            throw new UsageException("one address is IPv4 and the other IPv6: a packet has two of one kind");
        }
        HashSet<IPAddress> local = [.. NetworkInterface.GetAllNetworkInterfaces().SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => new IPAddress(a.Address.GetAddressBytes()))];
        query = query with { IsSourceLocal = local.Contains(source), IsDestinationLocal = local.Contains(destination) };
        ExplainReport report = Daemon.Ask(socket, new ControlRequest { Command = "explain", Explain = query }, ControlJson.Default.ExplainReport);
        report = WithRoute(report, query);
        if (json)
        {
            Console.Out.WriteLine(System.Text.Json.JsonSerializer.Serialize(report, ControlJson.Default.ExplainReport));
        }
        else
        {
            Print(report);
        }
        return report.Verdict is ExplainReport.Dropped or ExplainReport.Pending ? ExitCode.Failed : ExitCode.Done;
    }

    private static void Print(ExplainReport report)
    {
        int number = 0;
        foreach (ExplainStep step in report.Steps)
        {
            Console.WriteLine($"{++number,2}. {step.Step,-14} {step.Result}");
        }
        Console.WriteLine("⇒  " + report.Verdict switch
        {
            ExplainReport.Protected => Paint.Good("protected"),
            ExplainReport.Opened => Paint.Good("opened") + ": it must come through the SA",
            ExplainReport.Clear => Paint.Warn("in clear"),
            ExplainReport.Pending => Paint.Bad("pending") + ": an SA is missing",
            _ => Paint.Bad(report.Verdict),
        });
    }

    // What the kernel's own routing says, in its own words. It is asked before policies are, so without a route nothing else matters.
    private static ExplainReport WithRoute(ExplainReport report, ExplainQuery query)
    {
        if (query.IsDestinationLocal || query.Direction == "in")
        {
            return report;
        }
        string[] from = query.IsSourceLocal ? ["from", query.Source] : [];
        ProgramResult ip = ProgramResult.Of("ip", ["-o", "route", "get", query.Destination, .. from]);
        if (ip.IsMissing)
        {
            return report;
        }
        string[] words = ip.Output.Split([' ', '\n', '\\'], StringSplitOptions.RemoveEmptyEntries);
        ExplainStep step = new("route", ip.Code == 0 ? string.Join(' ', words.Where(word => word != "cache")) : "none: " + ip.Errors.Trim().ReplaceLineEndings(" "));
        return ip.Code == 0
            ? report with { Steps = [report.Steps[0], step, .. report.Steps.Skip(1)] }
            : new ExplainReport
            {
                Verdict = ExplainReport.Dropped,
                Steps = [report.Steps[0], step, new ExplainStep("drop", "the sender gets an error before any policy is asked; add a route, a default route will do; not counted")],
            };
    }

    private static string Address(string text) => IPAddress.TryParse(text, out _) && text.AsSpan().ContainsAny('.', ':')
        ? text
        : throw new UsageException($"'{text}' is no IP address: give source and destination as numbers, for instance 10.1.0.1 10.2.0.1");

    private static byte Protocol(string text) => Describe.TryProtocol(text, out byte protocol)
        ? protocol
        : throw new UsageException($"'{text}' is no protocol: give tcp, udp, icmp, icmpv6, esp, ah, any or a number below 256");

    private static uint Mark(string? text)
    {
        uint mark = 0;
        return text is null || (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? uint.TryParse(text.AsSpan(2), System.Globalization.NumberStyles.AllowHexSpecifier, System.Globalization.CultureInfo.InvariantCulture, out mark)
            : uint.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out mark))
            ? mark
            : throw new UsageException($"'{text}' is no mark: give a number, for instance 42 or 0x2a");
    }
}
