namespace Xfrmd.Cli.Control;

/// <summary><c>xfrmd explain</c>: the walk of one packet, step by step.</summary>
internal sealed record ExplainReport
{
    public const string Protected = "protected", Opened = "opened", Clear = "clear", Pending = "pending", Dropped = "dropped";

    /// <summary>
    /// protected: it leaves through an SA; opened: it must come through an SA, which is there; clear: no policy asks for protection; pending: an
    /// SA is being asked for; dropped.
    /// </summary>
    public required string Verdict { get; init; }

    /// <summary>The counter of /proc/net/xfrm_stat that counts it where it is dropped.</summary>
    public string? Counter { get; init; }

    public required IReadOnlyList<ExplainStep> Steps { get; init; }
}
