using System.Globalization;

namespace Xfrmd.Cli.Control;

/// <summary>Prometheus' text format (exposition format 0.0.4) of one network namespace, for node_exporter's textfile collector.</summary>
internal static class Exposition
{
    public static void Write(TextWriter writer, StatusReport status, IReadOnlyList<CounterReport> counters)
    {
        Family(writer, "xfrmd_xfrm_packets_total", "counter", "Packets lost, by the counter's name in /proc/net/xfrm_stat.");
        foreach (CounterReport counter in counters)
        {
            Sample(writer, "xfrmd_xfrm_packets_total", "counter", counter.Name, counter.Value);
        }
        Family(writer, "xfrmd_sas", "gauge", "Security associations, by state.");
        foreach (IGrouping<string, SaReport> group in status.Sas.GroupBy(sa => sa.State).OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            Sample(writer, "xfrmd_sas", "state", group.Key, group.Count());
        }
        Family(writer, "xfrmd_policies", "gauge", "Policies, by direction.");
        Sample(writer, "xfrmd_policies", "dir", "in", status.Policies.In);
        Sample(writer, "xfrmd_policies", "dir", "out", status.Policies.Out);
        Sample(writer, "xfrmd_policies", "dir", "fwd", status.Policies.Fwd);
        Family(writer, "xfrmd_build_info", "gauge", "Its version.");
        Sample(writer, "xfrmd_build_info", "version", status.Version, 1);
    }

    private static void Family(TextWriter writer, string name, string type, string help) => writer.Write($"# HELP {name} {help}\n# TYPE {name} {type}\n");

    // No name here has anything in it that would have to be escaped.
    private static void Sample(TextWriter writer, string name, string label, string value, long number) =>
        writer.Write(string.Create(CultureInfo.InvariantCulture, $"{name}{{{label}=\"{value}\"}} {number}\n"));
}
