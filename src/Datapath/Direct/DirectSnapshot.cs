using Xfrmd.Linux.Routing;

namespace Xfrmd.Datapath.Direct;

/// <summary>What was found when the network was last looked at. Never changed once it is published.</summary>
/// <param name="Covers">The changes that had been told when it was made (<see cref="DirectPaths.Invalidate"/>).</param>
/// <param name="Generation">That of nf_tables.</param>
/// <param name="PacketSockets">How many there were, if a route takes frames; -1: no matter.</param>
/// <param name="Neighbours">Those that <paramref name="Routes"/> depend on.</param>
/// <param name="Routes">Where packets go directly, by destination. A destination that is not there goes through the raw socket.</param>
public sealed record DirectSnapshot(int Covers, uint Generation, int PacketSockets, HashSet<NeighbourKey> Neighbours, Dictionary<OuterAddress, DirectRoute> Routes)
{
    public static readonly DirectSnapshot Nothing = new(0, 0, -1, [], []);
}
