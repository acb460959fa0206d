using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Direct;

/// <summary>The station on a link that packets to one destination go to, for as long as nothing changes.</summary>
/// <param name="linkAddress">A <see cref="LinkAddress"/>.</param>
/// <param name="frameHeader">The Ethernet header of frames to it; empty: none were wanted, or the link's queue, its egress hook or who looks at it must see them.</param>
/// <param name="ifindex">The link.</param>
/// <param name="mtu">The link's MTU: what is larger is the raw socket's to refuse.</param>
/// <param name="isDoubtful">The kernel does not know whether the station is still there.</param>
public sealed class DirectRoute(byte[] linkAddress, byte[] frameHeader, int ifindex, int mtu, bool isDoubtful)
{
    private long _askedAt = long.MinValue;

    public ReadOnlySpan<byte> LinkAddress => linkAddress;

    public ReadOnlySpan<byte> FrameHeader => frameHeader;

    public int Ifindex => ifindex;

    public int Mtu => mtu;

    /// <summary>Its packets may be sent by a <see cref="FrameSender"/>.</summary>
    public bool TakesFrames => frameHeader.Length > 0;

    /// <summary>
    /// Whether the packets of this moment go through the kernel's routing: where it doubts that the neighbour is there, it asks only when it
    /// sends to it itself (<c>neigh_event_send</c>). One batch a second.
    /// </summary>
    public bool IsKernelsTurn(long now, long second)
    {
        if (!isDoubtful || (_askedAt != long.MinValue && now - _askedAt < second))
        {
            return false;
        }
        _askedAt = now;
        return true;
    }

    /// <summary>The same in all that matters.</summary>
    public bool Equals(byte[] otherAddress, byte[] otherHeader, int otherMtu, bool otherDoubtful) =>
        otherMtu == mtu && otherDoubtful == isDoubtful && otherAddress.AsSpan().SequenceEqual(linkAddress) && otherHeader.AsSpan().SequenceEqual(frameHeader);
}
