using Xfrmd.Kernel;

namespace Xfrmd.Datapath;

/// <summary>What became of an inbound packet.</summary>
/// <param name="Deliver">True: the slot holds the inner packet. False: it is gone, and counted where Linux counts.</param>
/// <param name="Direction">For this host (<c>in</c>) or to be forwarded (<c>fwd</c>).</param>
/// <param name="IfId">The if_id of the last SA: which device it appears on. 0 where that SA has none, or no device has it.</param>
public readonly record struct InboundResult(bool Deliver, PolicyDirection Direction, uint IfId);
