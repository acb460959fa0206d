using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Engine;

/// <summary>What routing knows of the paths to outer destinations.</summary>
public interface IPaths
{
    /// <summary>The MTU towards a destination, with what ICMP has taught; a default where there is no route.</summary>
    /// <param name="daddr">Outer, or of a packet in clear.</param>
    /// <param name="family">Its family.</param>
    /// <param name="mark">What routing will see of the packet's mark.</param>
    int MtuTowards(in XfrmAddress daddr, ushort family, uint mark = 0);

    /// <summary>Changes when a path has turned out to be narrower than it was said to be.</summary>
    int Epoch { get; }

    /// <summary>Whether an address is this host's own.</summary>
    bool IsHere(in XfrmAddress address, ushort family);

    /// <summary>The interface that routing chooses for a destination in clear; 0 where there is no route.</summary>
    int OutputInterface(in XfrmAddress daddr, ushort family, uint mark);

    /// <summary>The address that this host's packets to a destination have; null where there is no route.</summary>
    /// <param name="daddr">The destination.</param>
    /// <param name="family">Its family.</param>
    /// <param name="flowMark">The packet's mark.</param>
    XfrmAddress? SourceTowards(in XfrmAddress daddr, ushort family, uint flowMark);

    /// <summary>
    /// A sender on this host was told a smaller MTU for a destination that is the outer one too: routing will now know that number where
    /// it is asked about the path of the protected packets, for which it does not hold.
    /// </summary>
    /// <param name="daddr">The destination, inner and outer.</param>
    /// <param name="family">Its family.</param>
    /// <param name="told">What the sender was told.</param>
    /// <param name="path">What the protected packets may have.</param>
    void SenderTold(in XfrmAddress daddr, ushort family, int told, int path);
}
