using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Capture;

/// <summary>What is known of a captured packet beside its bytes.</summary>
public struct CapturedPacket
{
    public CaptureSide Side;

    /// <summary>On its way in from the network; otherwise on its way out.</summary>
    public bool Inbound;

    /// <summary>The SA that protects it, where the worker knew; null: none, or it stands in the packet.</summary>
    public SecurityAssociation? Sa;

    /// <summary>Why it went no further.</summary>
    public XfrmCounter? Dropped;

    /// <summary>It went no further, whether or not Linux counts that.</summary>
    public bool IsLost;

    /// <summary>UTC, in ticks of 100 ns.</summary>
    public long Ticks;

    /// <summary>Bytes of the whole packet; fewer may have been kept.</summary>
    public int Length;

    internal long Start;
    internal int Kept;
}
