using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Direct;

/// <summary>Source and destination of packets that arrive.</summary>
public readonly record struct DirectPair(XfrmAddress Saddr, XfrmAddress Daddr, ushort Family)
{
    public OuterAddress Source => new(Saddr, Family);

    public OuterAddress Destination => new(Daddr, Family);
}
