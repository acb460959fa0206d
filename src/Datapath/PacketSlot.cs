namespace Xfrmd.Datapath;

/// <summary>
/// One packet on its way through the transforms: a part of a pinned pool buffer, from its first IP header to its last byte. Headers are
/// pushed in front and trailers behind without copying: a new packet has at least <see cref="Headroom"/> and <see cref="Tailroom"/>.
/// </summary>
public struct PacketSlot
{
    /// <summary>Bytes free before a packet that enters the datapath: outer IPv6 (40), UDP (8), ESP and IV (24), twice, rounded up.</summary>
    public const int Headroom = 192;

    /// <summary>Bytes free behind it: padding and ICV, twice. TFC padding needs more and asks <see cref="FreeBehind"/>.</summary>
    public const int Tailroom = 128;

    /// <summary>The pool's pinned array; slots share it.</summary>
    public byte[] Buffer;

    /// <summary>The packet's first byte.</summary>
    public int Offset;
    public int Length;

    /// <summary>Start of the space that this packet may grow into.</summary>
    public int Floor;

    /// <summary>End of the space that this packet may grow into.</summary>
    public int Limit;

    /// <summary><c>skb->mark</c>: what marks of SAs and policies are compared with, and what SET_MARK changes.</summary>
    public uint Mark;

    public PacketSlot(byte[] buffer, int offset, int length, int floor, int limit) =>
        (Buffer, Offset, Length, Floor, Limit) = (buffer, offset, length, floor, limit);

    /// <summary>The packet's bytes.</summary>
    public readonly Span<byte> Span => Buffer.AsSpan(Offset, Length);

    /// <summary>Where the packet ends in the buffer.</summary>
    public readonly int End => Offset + Length;

    /// <summary>Bytes that may be pushed in front.</summary>
    public readonly int FreeBefore => Offset - Floor;

    /// <summary>Bytes that may be added behind.</summary>
    public readonly int FreeBehind => Limit - Offset - Length;

    /// <summary>Moves the first byte to another place of the buffer; the end stays.</summary>
    public void StartAt(int offset)
    {
        Length += Offset - offset;
        Offset = offset;
    }

    /// <summary>Moves the end to another place of the buffer; the start stays.</summary>
    public void EndAt(int end) => Length = end - Offset;
}
