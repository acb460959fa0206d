namespace Xfrmd.Cli.Control;

/// <summary>One counter of /proc/net/xfrm_stat.</summary>
internal sealed record CounterReport(string Name, long Value, string Meaning, string Advice);
