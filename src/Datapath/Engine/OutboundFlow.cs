using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Engine;

/// <summary>What one worker does with the packets of a flow, for as long as the databases and paths stay as they are.</summary>
internal sealed class OutboundFlow
{
    public Flow Key;

    /// <summary>Of an ICMP error: the flow that it is about, turned round. Each is decided by itself.</summary>
    public Flow? Quoted;

    /// <summary><see cref="XfrmNamespace.Generation"/> of the decision; anything else makes it stale.</summary>
    public int Generation;

    /// <summary>Seconds until which the path MTU is believed.</summary>
    public ulong ValidUntil;

    /// <summary>The port's count of refusals for size when the path MTU was asked for.</summary>
    public int TooBigCount;

    /// <summary><see cref="IPaths.Epoch"/> when the path MTU was asked for.</summary>
    public int PathEpoch;

    /// <summary>The interface that routing chooses for it, and the second when it was asked.</summary>
    public int OutputInterface;
    public ulong RoutedAt;

    /// <summary>Seconds when the policies were last marked as used.</summary>
    public ulong MarkedAt;
    public OutboundDecision Decision = null!;

    /// <summary>The SAs as this worker uses them, where the decision is to transform.</summary>
    public OutboundBundle? Bundle;

    /// <summary>What the path takes, where the decision is to let the packets pass in clear.</summary>
    public int PlainMtu;

    /// <summary>The outermost SA puts ESP into UDP.</summary>
    public bool InUdp;
}
