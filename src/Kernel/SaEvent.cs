namespace Xfrmd.Kernel;

/// <summary><c>struct km_event</c> about an SA.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Sa">The SA; for Update the one that the request constructed, for Flush null.</param>
public readonly record struct SaEvent(SaEventKind Kind, SecurityAssociation? Sa)
{
    /// <summary>Expire: whether the hard limit was reached. The value that a user's EXPIRE carried, else 0 or 1.</summary>
    public bool Hard { get; init; }

    /// <summary>Flush: the protocol that was flushed.</summary>
    public byte Proto { get; init; }

    /// <summary>NewAe: XFRM_AE_* reason bits.</summary>
    public uint AeventFlags { get; init; }

    /// <summary>The request's sequence number and the port id that its header carried; 0 where the kernel speaks for itself.</summary>
    public uint Seq { get; init; }
    public uint PortId { get; init; }

    /// <summary>The replay state that goes with a NewAe.</summary>
    public ReplayState? Replay { get; init; }

    /// <summary>NewAe and Expire that a packet caused: what was counted before that packet, as Linux tells it. Null: what is counted now.</summary>
    public SaCounts? Counts { get; init; }
}
