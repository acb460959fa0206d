using System.Buffers.Binary;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>From a packet to the flow that policies and selectors see: <c>__xfrm_decode_session</c>.</summary>
public static class FlowDecoder
{
    private const ushort GreKeyBit = 0x2000, GreChecksumBit = 0x8000;

    /// <summary>Decodes a whole packet. False: it is no IP packet, or its headers are cut short.</summary>
    /// <param name="packet">From the IP header on.</param>
    /// <param name="mark">The packet's mark.</param>
    /// <param name="ifIndex">The device that it leaves by.</param>
    /// <param name="ifId">The if_id of that device.</param>
    /// <param name="flow">The flow.</param>
    /// <param name="asWhole">A first fragment stands for its datagram: it has the ports.</param>
    public static bool TryDecode(Span<byte> packet, uint mark, int ifIndex, uint ifId, out Flow flow, bool asWhole = false)
    {
        if (Ipv4View.TryParse(packet, out Ipv4View ip))
        {
            flow = Decode4(ip, mark, ifIndex, ifId, asWhole);
            return true;
        }
        if (Ipv6View.TryParse(packet, out Ipv6View ip6))
        {
            return TryDecode6(ip6, mark, ifIndex, ifId, out flow, asWhole);
        }
        flow = default;
        return false;
    }

    /// <summary>Decodes the start of a packet, whatever its length fields say.</summary>
    public static bool TryDecodeHeaders(Span<byte> packet, uint mark, int ifIndex, uint ifId, out Flow flow)
    {
        if (Ipv4View.TryParseHeader(packet, out Ipv4View ip))
        {
            flow = Decode4(ip, mark, ifIndex, ifId, asWhole: false);
            return true;
        }
        flow = default;
        return Ipv6View.TryParseHeader(packet, out Ipv6View ip6) && TryDecode6(ip6, mark, ifIndex, ifId, out flow, asWhole: false);
    }

    /// <summary>The ICMP errors that are looked at on their way: <c>icmp_err_packet</c>.</summary>
    public static bool IsPathError(in Flow flow) => flow.Proto switch
    {
        NextHeader.Icmp => flow is { Family: AddressFamily.Inet, Sport: IcmpView.Unreachable or IcmpView.TimeExceeded },
        NextHeader.Icmpv6 => flow is { Family: AddressFamily.Inet6, Sport: IcmpView.V6Unreachable or IcmpView.V6PacketTooBig or IcmpView.V6TimeExceeded },
        _ => false,
    };

    /// <summary>The flow of the packet that an ICMP error quotes, reversed (<c>xfrm_decode_session_reverse</c> of <c>icmp_send</c>'s data). False: it is no such error.</summary>
    public static bool TryDecodeEmbedded(Span<byte> packet, in Flow outer, out Flow flow)
    {
        flow = default;
        return TryFindIcmp(packet, outer, out IcmpView icmp)
            && (outer.Family == AddressFamily.Inet ? icmp.IsError : icmp.IsV6Error)
            && TryDecodeReversed(icmp.Embedded, outer, out flow);
    }

    /// <summary>A fragment other than the first of its datagram.</summary>
    public static bool IsLaterFragment(Span<byte> packet) => Ipv4View.TryParse(packet, out Ipv4View ip)
        ? (ip.FragmentField & Ipv4View.OffsetMask) != 0
        : Ipv6View.TryParse(packet, out Ipv6View ip6) && Ipv6Extensions.TryFindUpper(ip6.Bytes, out _, out _, out _, out int fragment) && fragment == 2;

    /// <summary>
    /// The flow of what stands behind an ICMP header, taken for a packet and reversed, whatever the message is (<c>icmp_rcv</c>, <c>icmpv6_rcv</c>).
    /// False: no IP header would fit.
    /// </summary>
    public static bool TryDecodeQuoted(Span<byte> packet, in Flow outer, out Flow flow)
    {
        flow = new Flow { Family = outer.Family, Mark = outer.Mark, Oif = outer.Oif, IfId = outer.IfId };
        if (!TryFindIcmp(packet, outer, out IcmpView icmp))
        {
            return false;
        }
        if (TryDecodeReversed(icmp.Embedded, outer, out Flow decoded))
        {
            flow = decoded;
        }
        return icmp.Embedded.Length >= (outer.Family == AddressFamily.Inet ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength);
    }

    private static bool TryFindIcmp(Span<byte> packet, in Flow outer, out IcmpView icmp)
    {
        icmp = default;
        return (outer.Family, outer.Proto) switch
        {
            (AddressFamily.Inet, NextHeader.Icmp) => Ipv4View.TryParse(packet, out Ipv4View ip) && IcmpView.TryParse(ip.Payload, out icmp),
            (AddressFamily.Inet6, NextHeader.Icmpv6) => Ipv6View.TryParse(packet, out Ipv6View ip6)
                && Ipv6Extensions.TryFindUpper(ip6.Bytes, out _, out int offset, out _, out _) && IcmpView.TryParse(ip6.Bytes[offset..], out icmp),
            _ => false,
        };
    }

    private static bool TryDecodeReversed(Span<byte> quoted, in Flow outer, out Flow flow)
    {
        bool decoded;
        if (outer.Family == AddressFamily.Inet)
        {
            decoded = Ipv4View.TryParseHeader(quoted, out Ipv4View ip);
            flow = decoded ? Decode4(ip, outer.Mark, outer.Oif, outer.IfId, asWhole: false) : default;
        }
        else
        {
            flow = default;
            decoded = Ipv6View.TryParseHeader(quoted, out Ipv6View ip6) && TryDecode6(ip6, outer.Mark, outer.Oif, outer.IfId, out flow, asWhole: false);
        }
        flow = flow.Reversed();
        return decoded;
    }

    private static Flow Decode4(Ipv4View ip, uint mark, int ifIndex, uint ifId, bool asWhole)
    {
        byte proto = ip.Protocol;
        (ushort sport, ushort dport) = ip.IsFragment && !(asWhole && (ip.FragmentField & Ipv4View.OffsetMask) == 0) ? default : Ports(proto, ip.Payload);
        return new Flow
        {
            Saddr = new XfrmAddress(ip.Saddr),
            Daddr = new XfrmAddress(ip.Daddr),
            Family = AddressFamily.Inet,
            Proto = proto,
            Sport = sport,
            Dport = dport,
            Mark = mark,
            Oif = ifIndex,
            IfId = ifId,
        };
    }

    private static bool TryDecode6(Ipv6View ip, uint mark, int ifIndex, uint ifId, out Flow flow, bool asWhole)
    {
        if (!Ipv6Extensions.TryFindUpper(ip.Bytes, out byte proto, out int offset, out _, out int fragment))
        {
            flow = default;
            return false;
        }
        (ushort sport, ushort dport) = fragment == 2 || (fragment == 1 && !asWhole) ? default : Ports(proto, ip.Bytes[offset..]);
        flow = new Flow
        {
            Saddr = new XfrmAddress(ip.Saddr),
            Daddr = new XfrmAddress(ip.Daddr),
            Family = AddressFamily.Inet6,
            Proto = proto,
            Sport = sport,
            Dport = dport,
            Mark = mark,
            Oif = ifIndex,
            IfId = ifId,
        };
        return true;
    }

    // Since Linux 6.7 the flow dissector decides: no fragment has ports, not even the first (FLOW_DISSECTOR_F_PARSE_1ST_FRAG is not asked for).
    private static (ushort Sport, ushort Dport) Ports(byte proto, ReadOnlySpan<byte> upper)
    {
        const int PortsLength = 4;
        if (upper.Length < PortsLength)
        {
            return default;
        }
        switch (proto)
        {
            case NextHeader.Tcp or NextHeader.Udp or NextHeader.UdpLite or NextHeader.Sctp:
                return (BinaryPrimitives.ReadUInt16BigEndian(upper), BinaryPrimitives.ReadUInt16BigEndian(upper[2..]));
            case NextHeader.Icmp or NextHeader.Icmpv6:
                return (upper[0], upper[1]);
            case NextHeader.Gre:
                ushort flags = BinaryPrimitives.ReadUInt16BigEndian(upper);
                int key = (flags & GreChecksumBit) != 0 ? 8 : 4;
                return (flags & GreKeyBit) != 0 && upper.Length >= key + 4
                    ? (BinaryPrimitives.ReadUInt16BigEndian(upper[key..]), BinaryPrimitives.ReadUInt16BigEndian(upper[(key + 2)..]))
                    : default;
            default:
                return default;
        }
    }
}
