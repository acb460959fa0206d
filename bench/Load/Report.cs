using System.Globalization;

namespace Xfrmd.Bench.Load;

/// <summary>
/// Makes the page of what <c>bench/bench.sh</c> measured: in a folder, results.tsv has contender, metric and value a line, in the order of the
/// rounds; facts.tsv what the machine and the versions are; scale.md, flat.md and profile.md go in as they are.
/// </summary>
internal static class Report
{
    private static readonly (string Key, string Title)[] Contenders =
    [
        ("gcm", "xfrmd, AES-128-GCM, raw ESP"),
        ("gcm-udp", "xfrmd, AES-128-GCM, ESP in UDP"),
        ("chacha", "xfrmd, ChaCha20-Poly1305"),
        ("cbc", "xfrmd, AES-128-CBC, SHA-256"),
        ("libipsec", "strongSwan kernel-libipsec, AES-128-GCM"),
        ("wireguard", "wireguard-go"),
        ("veth", "bare veth"),
    ];

    private static readonly (string Key, string Title, string Format)[] Metrics =
    [
        ("tcp1", "TCP, 1 stream, Gbit/s", "0.00"),
        ("tcp4", "TCP, 4 streams, Gbit/s", "0.00"),
        ("bidir", "TCP, both ways, Gbit/s in sum", "0.00"),
        ("udp64", "UDP of 64 bytes, thousand/s", "0.0"),
        ("udp512", "UDP of 512 bytes, thousand/s", "0.0"),
        ("udp1400", "UDP of 1372 bytes, thousand/s", "0.0"),
        ("idle_p50", "round trip idle, p50, µs", "0"),
        ("idle_p99", "round trip idle, p99, µs", "0"),
        ("load_p50", "round trip beside a TCP stream, p50, µs", "0"),
        ("load_p99", "round trip beside a TCP stream, p99, µs", "0"),
        ("cpu", "processor seconds per GB of TCP, all of the machine", "0.00"),
        ("rss", "resident memory of a gateway, MiB", "0"),
    ];

    public static void Write(string folder, TextWriter output)
    {
        Dictionary<(string, string), List<double>> values = Read(Path.Combine(folder, "results.tsv"));
        Dictionary<string, string> facts = File.ReadLines(Path.Combine(folder, "facts.tsv")).Select(l => l.Split('\t')).Where(f => f.Length == 2).ToDictionary(f => f[0], f => f[1]);
        output.WriteLine("# Benchmarks\n");
        output.WriteLine("`make bench` wrote this page: every contender on the same topology (two gateways in network namespaces, a veth of MTU 1500 between), all in");
        output.WriteLine($"one run, taking turns, {facts["rounds"]} rounds; medians, and from the lowest to the highest. Sender, receiver and both gateways share the machine's cores.\n");
        output.WriteLine("| | |\n|---|---|");
        foreach ((string name, string value) in facts)
        {
            output.WriteLine($"| {name} | {value} |");
        }
        output.WriteLine("\n## Loads\n");
        (string Key, string Title)[] present = [.. Contenders.Where(c => values.Keys.Any(k => k.Item1 == c.Key))];
        output.WriteLine("| | " + string.Join(" | ", present.Select(c => c.Title)) + " |");
        output.WriteLine("|---|" + string.Concat(present.Select(_ => "---|")));
        foreach ((string key, string title, string format) in Metrics)
        {
            output.WriteLine($"| {title} | " + string.Join(" | ", present.Select(c => Cell(values, c.Key, key, format))) + " |");
        }
        WriteTargets(values, output);
        output.WriteLine("\n## How it is measured\n");
        output.WriteLine($"`iperf3 -c 10.2.0.1 -B 10.1.0.1 -t {facts["seconds"]}` with nothing, `-P 4`, `--bidir`; `ping -i 0.002`, alone and beside a stream; datagrams one by one");
        output.WriteLine("(`sendmmsg` without UDP_SEGMENT) at a rate that is raised and lowered until 0.1 % is lost (`bench/Load`). Processor seconds are all that `/proc/stat`");
        output.WriteLine("counts while the TCP stream runs, iperf3 and the kernel included.\n");
        foreach (string part in (string[])["scale.md", "flat.md", "profile.md"])
        {
            string path = Path.Combine(folder, part);
            if (File.Exists(path))
            {
                output.WriteLine(File.ReadAllText(path).TrimEnd() + "\n");
            }
        }
    }

    private static Dictionary<(string, string), List<double>> Read(string path)
    {
        Dictionary<(string, string), List<double>> values = [];
        foreach (string line in File.ReadLines(path))
        {
            string[] fields = line.Split('\t');
            if (fields.Length != 3 || !double.TryParse(fields[2], CultureInfo.InvariantCulture, out double value))
            {
                continue;
            }
            value = fields[1].StartsWith("udp", StringComparison.Ordinal) ? value / 1000 : value;
            if (!values.TryGetValue((fields[0], fields[1]), out List<double>? list))
            {
                values.Add((fields[0], fields[1]), list = []);
            }
            list.Add(value);
        }
        return values;
    }

    private static void WriteTargets(Dictionary<(string, string), List<double>> values, TextWriter output)
    {
        output.WriteLine("\n## Targets\n\n| | asked | measured | |\n|---|---|---|---|");
        Target("TCP, 1 stream: raw ESP to kernel-libipsec", Ratio("gcm", "libipsec", "tcp1"), 10, atLeast: true);
        Target("TCP, 1 stream: raw ESP to wireguard-go", Ratio("gcm", "wireguard", "tcp1"), 2, atLeast: true);
        Target("UDP of 64 bytes: raw ESP to wireguard-go", Ratio("gcm", "wireguard", "udp64"), 3, atLeast: true);
        Target("round trip idle, p50: raw ESP to wireguard-go", Ratio("gcm", "wireguard", "idle_p50"), 1, atLeast: false);
        Target("processor seconds per GB: raw ESP to wireguard-go", Ratio("gcm", "wireguard", "cpu"), 0.5, atLeast: false);
        Target("TCP, 1 stream: raw ESP to ESP in UDP", Ratio("gcm", "gcm-udp", "tcp1"), 1, atLeast: true);
        Target("TCP, 1 stream: ESP in UDP to kernel-libipsec", Ratio("gcm-udp", "libipsec", "tcp1"), 10, atLeast: true);
        Target("TCP, 1 stream: ESP in UDP to wireguard-go", Ratio("gcm-udp", "wireguard", "tcp1"), 2, atLeast: true);

        double? Ratio(string a, string b, string metric) =>
            values.TryGetValue((a, metric), out List<double>? x) && values.TryGetValue((b, metric), out List<double>? y) && Median(y) > 0 ? Median(x) / Median(y) : null;

        void Target(string what, double? ratio, double asked, bool atLeast)
        {
            if (ratio is { } value)
            {
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {what} | {(atLeast ? "≥" : "≤")} {asked} | {value:0.00} | {((atLeast ? value >= asked : value <= asked) ? "met" : "not met")} |"));
            }
        }
    }

    private static string Cell(Dictionary<(string, string), List<double>> values, string contender, string metric, string format)
    {
        if (!values.TryGetValue((contender, metric), out List<double>? list))
        {
            return "";
        }
        string Text(double value) => value.ToString(format, CultureInfo.InvariantCulture);
        return list.Count == 1 ? Text(list[0]) : $"**{Text(Median(list))}** ({Text(list.Min())} to {Text(list.Max())})";
    }

    private static double Median(List<double> list)
    {
        double[] sorted = [.. list.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
