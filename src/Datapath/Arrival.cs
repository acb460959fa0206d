using System.Buffers.Binary;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>
/// How a protected packet came: the fields of its outer header, and whether it came in UDP. The slot that goes with it begins at the ESP, AH or
/// IPComp header; the outer header stands before it where <see cref="HeaderLength"/> is not 0.
/// </summary>
public struct Arrival
{
    public XfrmAddress Saddr;
    public XfrmAddress Daddr;

    /// <summary><see cref="AddressFamily"/> of the outer header.</summary>
    public ushort Family;

    /// <summary>ESP, AH or IPComp.</summary>
    public byte Proto;

    /// <summary>TOS or traffic class.</summary>
    public byte Tos;

    /// <summary>TTL or hop limit.</summary>
    public byte HopLimit;

    public uint FlowLabel;

    /// <summary>IPv4 identification and fragment field: BEET mode carries them on.</summary>
    public ushort Id;
    public ushort FragmentField;

    /// <summary>0: raw; <see cref="XfrmEncapTmpl.EspInUdp"/>: in UDP.</summary>
    public ushort EncapType;

    /// <summary>The UDP source port.</summary>
    public ushort Sport;

    /// <summary>The UDP destination port: the port of ours that it came to.</summary>
    public ushort Dport;

    /// <summary>Bytes of outer IP header, extension headers included, that stand in the buffer at <see cref="HeaderAt"/>; 0: none do.</summary>
    internal int HeaderLength;

    /// <summary>Where they begin in the buffer.</summary>
    internal int HeaderAt;

    /// <summary>Where in them the field stands that names the transform.</summary>
    internal int NextHeaderAt;

    /// <summary>The packet as a flow, for people.</summary>
    internal readonly Flow OuterFlow() => new()
    {
        Family = Family,
        Saddr = Saddr,
        Daddr = Daddr,
        Proto = EncapType != 0 ? IpProtocol.Udp : Proto,
        Sport = Sport,
        Dport = Dport,
    };

    /// <summary>A datagram of an encapsulating UDP socket: the slot holds its payload, and no outer header is at hand.</summary>
    /// <param name="family">Of the addresses.</param>
    /// <param name="saddr">The sender.</param>
    /// <param name="daddr">Our address that it was sent to.</param>
    /// <param name="sport">The sender's port.</param>
    /// <param name="tos">TOS or traffic class (IP_RECVTOS).</param>
    /// <param name="hopLimit">TTL or hop limit; matters to BEET and transport mode only.</param>
    /// <param name="dport">Our port; matters to captures only.</param>
    public static Arrival Udp(ushort family, in XfrmAddress saddr, in XfrmAddress daddr, ushort sport, byte tos, byte hopLimit = 64, ushort dport = 0) => new()
    {
        Family = family,
        Saddr = saddr,
        Daddr = daddr,
        Proto = IpProtocol.Esp,
        Tos = tos,
        HopLimit = hopLimit,
        FragmentField = FragmentFieldOf(family),
        EncapType = XfrmEncapTmpl.EspInUdp,
        Sport = sport,
        Dport = dport,
    };

    /// <summary>A packet of a raw IPv6 socket: the slot holds what follows the IPv6 header and its extension headers (<see cref="MakeRoom"/>).</summary>
    /// <inheritdoc cref="Udp"/>
    public static Arrival Raw6(byte proto, in XfrmAddress saddr, in XfrmAddress daddr, byte trafficClass, byte hopLimit, uint flowLabel = 0) => new()
    {
        Family = AddressFamily.Inet6,
        Saddr = saddr,
        Daddr = daddr,
        Proto = proto,
        Tos = trafficClass,
        HopLimit = hopLimit,
        FlowLabel = flowLabel,
        FragmentField = FragmentFieldOf(AddressFamily.Inet6),
    };

    /// <summary><c>xfrm6_extract_header</c>: what came over IPv6 counts as not to be fragmented.</summary>
    private static ushort FragmentFieldOf(ushort family) => family == AddressFamily.Inet6 ? Ipv4View.DontFragmentBit : (ushort)0;

    /// <summary>
    /// Reads a whole IP packet and moves the slot past its headers, to ESP, AH or IPComp; past UDP too, whose payload is then taken for ESP:
    /// ask <see cref="UdpEncapsulation.IsEsp"/> first. False: it is no such packet, or a fragment.
    /// </summary>
    public static bool TryParse(ref PacketSlot packet, out Arrival arrival)
    {
        Span<byte> bytes = packet.Span;
        arrival = default;
        int offset, end;
        if (Ipv4View.TryParse(bytes, out Ipv4View ip))
        {
            offset = ip.HeaderLength;
            end = ip.TotalLength;
            arrival.Family = AddressFamily.Inet;
            arrival.Saddr = new XfrmAddress(ip.Saddr);
            arrival.Daddr = new XfrmAddress(ip.Daddr);
            arrival.Proto = ip.Protocol;
            arrival.Tos = ip.Tos;
            arrival.HopLimit = ip.Ttl;
            arrival.Id = ip.Id;
            arrival.FragmentField = ip.FragmentField;
            arrival.NextHeaderAt = Ipv4View.ProtocolAt;
            if (ip.IsFragment)
            {
                return false;
            }
        }
        else if (Ipv6View.TryParse(bytes, out Ipv6View ip6)
            && Ipv6Extensions.TryFindUpper(ip6.Bytes, out arrival.Proto, out offset, out arrival.NextHeaderAt, out int fragment) && fragment == 0)
        {
            end = ip6.Bytes.Length;
            arrival.Family = AddressFamily.Inet6;
            arrival.Saddr = new XfrmAddress(ip6.Saddr);
            arrival.Daddr = new XfrmAddress(ip6.Daddr);
            arrival.Tos = ip6.TrafficClass;
            arrival.HopLimit = ip6.HopLimit;
            arrival.FlowLabel = ip6.FlowLabel;
            arrival.FragmentField = FragmentFieldOf(AddressFamily.Inet6);
        }
        else
        {
            return false;
        }
        arrival.HeaderAt = packet.Offset;
        arrival.HeaderLength = offset;
        switch (arrival.Proto)
        {
            case IpProtocol.Esp or IpProtocol.Ah or IpProtocol.Comp or IpProtocol.IpIp or IpProtocol.Ipv6:
                break;
            case IpProtocol.Udp when UdpView.TryParse(bytes[offset..end], out UdpView udp):
                arrival.EncapType = XfrmEncapTmpl.EspInUdp;
                arrival.Sport = udp.Sport;
                arrival.Dport = udp.Dport;
                arrival.Proto = IpProtocol.Esp;
                end = offset + udp.Length;
                offset += UdpView.HeaderLength;
                break;
            default:
                return false;
        }
        packet.EndAt(packet.Offset + end);
        packet.StartAt(packet.Offset + offset);
        return true;
    }

    /// <summary>Writes the outer header that the socket did not give, right before the slot's first byte; false: no room.</summary>
    internal bool TryMaterialize(ref PacketSlot packet)
    {
        if (HeaderLength > 0)
        {
            return true;
        }
        int length = Family == AddressFamily.Inet ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength;
        if (packet.FreeBefore < length)
        {
            return false;
        }
        HeaderLength = length;
        HeaderAt = packet.Offset - length;
        Span<byte> header = packet.Buffer.AsSpan(HeaderAt, length);
        byte protocol = EncapType != 0 ? IpProtocol.Udp : Proto;
        if (Family == AddressFamily.Inet)
        {
            NextHeaderAt = Ipv4View.ProtocolAt;
            Ipv4View.WriteWhole(header, Tos, length + packet.Length, Id, FragmentField, HopLimit, protocol, Saddr.Bytes, Daddr.Bytes);
        }
        else
        {
            NextHeaderAt = Ipv6View.NextHeaderAt;
            Ipv6View.Write(header, Tos, FlowLabel, protocol, HopLimit, Saddr.Bytes, Daddr.Bytes);
            Ipv6View.Complete(header, length + packet.Length);
        }
        return true;
    }

    /// <summary>
    /// A packet of a raw IPv6 socket that had extension headers: writes the IPv6 header before the slot's first byte, with room for them behind it.
    /// False: there is no room, and the packet counts as one without them.
    /// </summary>
    /// <param name="packet">The packet, from its transform on.</param>
    /// <param name="first">What the first of them is.</param>
    /// <param name="length">Their bytes.</param>
    /// <param name="extensions">Where they go; then comes <see cref="FindNextHeader"/>.</param>
    internal bool MakeRoom(in PacketSlot packet, byte first, int length, out Span<byte> extensions)
    {
        int whole = Ipv6View.HeaderLength + length;
        extensions = default;
        if (packet.FreeBefore < whole)
        {
            return false;
        }
        HeaderLength = whole;
        HeaderAt = packet.Offset - whole;
        Span<byte> header = packet.Buffer.AsSpan(HeaderAt, whole);
        Ipv6View.Write(header, Tos, FlowLabel, first, HopLimit, Saddr.Bytes, Daddr.Bytes);
        Ipv6View.Complete(header, whole + packet.Length);
        extensions = header[Ipv6View.HeaderLength..];
        return true;
    }

    /// <summary>The last extension header names the transform. Where they make no sense the packet counts as one without them.</summary>
    internal void FindNextHeader(in PacketSlot packet)
    {
        ReadOnlySpan<byte> header = packet.Buffer.AsSpan(HeaderAt, HeaderLength);
        int offset = Ipv6View.HeaderLength, nextHeaderAt = Ipv6View.NextHeaderAt;
        while (offset < HeaderLength && Ipv6Extensions.TryStep(header, ref offset, ref nextHeaderAt))
        {
        }
        NextHeaderAt = nextHeaderAt;
        if (offset != HeaderLength || header[nextHeaderAt] != Proto)
        {
            HeaderLength = 0;
        }
    }

    /// <summary>
    /// Moves the outer header to right before the slot's first byte. What follows it, the header does not say before all transforms are off
    /// (<see cref="Conclude"/>): so AH that was under ESP or IPComp in transport mode is verified with the protocol of those, and fails, as with Linux.
    /// </summary>
    internal void Reattach(in PacketSlot packet, byte protocol)
    {
        int at = packet.Offset - HeaderLength;
        packet.Buffer.AsSpan(HeaderAt, HeaderLength).CopyTo(packet.Buffer.AsSpan(at));
        HeaderAt = at;
        Proto = protocol;
        EncapType = 0;
        Span<byte> header = packet.Buffer.AsSpan(at, HeaderLength);
        if (Family == AddressFamily.Inet)
        {
            Ipv4View.Complete(header, HeaderLength + packet.Length, header[NextHeaderAt]);
        }
        else
        {
            Ipv6View.Complete(header, HeaderLength + packet.Length);
        }
    }

    /// <summary><c>xfrm4_transport_finish</c>, <c>xfrm6_transport_finish</c>: the header says what it is followed by.</summary>
    internal readonly void Conclude(in PacketSlot packet)
    {
        Span<byte> header = packet.Buffer.AsSpan(HeaderAt, HeaderLength);
        header[NextHeaderAt] = Proto;
        if (Family == AddressFamily.Inet)
        {
            Ipv4View.Seal(header);
        }
    }
}
