namespace Xfrmd.Cli.Control;

/// <summary>One kind of drop of one flow in one second.</summary>
internal sealed record DropReport
{
    public required string Counter { get; init; }
    public required long Packets { get; init; }
    public required string Flow { get; init; }
    public required string Why { get; init; }

    /// <summary>The policy or SA that came nearest, or is meant.</summary>
    public string? Nearest { get; init; }
}
