namespace Xfrmd.Kernel;

/// <summary>The outcome of <see cref="PolicyResolver.Resolve"/>: immutable, may be cached with <see cref="Generation"/>.</summary>
public sealed class OutboundDecision
{
    public required OutboundAction Action { get; init; }
    public Policy? Policy { get; init; }

    /// <summary>The MAIN policy that goes with a SUB policy.</summary>
    public Policy? MainPolicy { get; init; }

    /// <summary>SAs to apply, innermost first.</summary>
    public SecurityAssociation[] Sas { get; init; } = [];

    /// <summary>Of SAs for any CPU, while this one's own are asked for: good for the packet that makes it ask, and no other.</summary>
    public bool IsFallback { get; init; }

    /// <summary>The drop counter; null where Linux counts none (default policy block, a socket's own policy without SA).</summary>
    public XfrmCounter? Counter { get; init; }

    /// <summary>Counted as well (<see cref="XfrmCounter.OutStateDirError"/> beside <see cref="XfrmCounter.OutPolError"/>).</summary>
    public XfrmCounter? Cause { get; init; }

    public Errno Errno { get; init; }

    /// <summary><see cref="XfrmNamespace.Generation"/> when it was made: with another it must be made anew.</summary>
    public int Generation { get; init; }
}
