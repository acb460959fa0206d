namespace Xfrmd.Datapath;

/// <summary>What an SA's mode makes of a packet before its protocol is applied: which bytes become the payload and what the header will say. Mirrors <c>struct xfrm_mode_skb_cb</c>.</summary>
internal struct OutboundFrame
{
    /// <summary>Where the payload begins in the buffer.</summary>
    public int Payload;

    public int PayloadLength;

    /// <summary>What the transform's header or trailer names as following it.</summary>
    public byte NextHeader;

    /// <summary>Transport mode: the packet's own header, moved to the front; 0 where the SA builds a header.</summary>
    public int KeptHeader;

    /// <summary>Transport mode: where in <see cref="KeptHeader"/> the field stands that now names the transform.</summary>
    public int NextHeaderAt;

    /// <summary>The inner packet is IPv6.</summary>
    public bool IsInner6;

    public byte Tos;
    public byte Ttl;
    public ushort Id;
    public ushort FragmentField;
    public uint FlowLabel;

    /// <summary>BEET with IPv4 options: bytes of pseudo header and NOPs before them; else 0.</summary>
    public int BeetHeader;

    /// <summary>BEET: the protocol that the pseudo header carries on, and its options' length.</summary>
    public byte BeetProtocol;
    public int BeetOptions;
}
