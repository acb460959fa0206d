namespace Xfrmd.Cli.Control;

/// <summary><c>xfrmd status</c>: one network namespace.</summary>
internal sealed record StatusReport
{
    public required string Version { get; init; }
    public required ulong Namespace { get; init; }
    public required int ProcessId { get; init; }
    public IReadOnlyList<string> Devices { get; init; } = [];

    /// <summary>How raw ESP leaves and comes.</summary>
    public IReadOnlyList<string> RawEsp { get; init; } = [];
    public required PolicyCounts Policies { get; init; }
    public required IReadOnlyList<SaReport> Sas { get; init; }
    public required IReadOnlyList<PolicyReport> Out { get; init; }
    public required IReadOnlyList<CounterReport> Drops { get; init; }
}
