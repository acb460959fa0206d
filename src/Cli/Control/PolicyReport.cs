namespace Xfrmd.Cli.Control;

/// <summary>One policy.</summary>
internal sealed record PolicyReport
{
    public required string Selector { get; init; }
    public required string Direction { get; init; }
    public required string Action { get; init; }
    public required uint Priority { get; init; }
    public required uint Index { get; init; }
    public required string Type { get; init; }
    public IReadOnlyList<string> Templates { get; init; } = [];
    public ulong AddedAt { get; init; }
    public ulong UsedAt { get; init; }
    public uint IfId { get; init; }
    public string? Mark { get; init; }
}
