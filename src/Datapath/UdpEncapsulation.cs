using System.Buffers.Binary;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>What a datagram on an encapsulating socket is. RFC 3948 section 2, as <c>__xfrm4_udp_encap_rcv</c>.</summary>
public static class UdpEncapsulation
{
    private const byte KeepaliveByte = 0xff;
    private const int KeepaliveLength = UdpView.HeaderLength + 1;

    /// <summary>Room for a keepalive of either family.</summary>
    public const int MaxKeepalive = Ipv6View.HeaderLength + KeepaliveLength;

    /// <summary>The packet that <c>nat_keepalive_send</c> sends for an SA; its length.</summary>
    public static int WriteKeepalive(Span<byte> packet, SecurityAssociation sa)
    {
        bool v4 = sa.Family == AddressFamily.Inet;
        int header = v4 ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength;
        Span<byte> datagram = packet.Slice(header, KeepaliveLength);
        XfrmEncapTmpl encap = sa.Encap.GetValueOrDefault();
        UdpView.Write(datagram, encap.EncapSport.Value, encap.EncapDport.Value, datagram.Length);
        datagram[^1] = KeepaliveByte;
        ReadOnlySpan<byte> saddr = sa.Saddr.Bytes, daddr = sa.Id.Daddr.Bytes;
        if (v4)
        {
            Ipv4View.WriteWhole(packet, 0, header + datagram.Length, 0, Ipv4View.DontFragmentBit, PacketSockets.DefaultHopLimit, IpProtocol.Udp, saddr, daddr);
        }
        else
        {
            Ipv6View.Write(packet, 0, 0, IpProtocol.Udp, PacketSockets.DefaultHopLimit, saddr, daddr);
            Ipv6View.Complete(packet, header + datagram.Length);
            UdpView.Seal(datagram, InternetChecksum.PseudoHeader(saddr[..Ipv6View.AddressLength], daddr[..Ipv6View.AddressLength], IpProtocol.Udp, datagram.Length));
        }
        return header + datagram.Length;
    }

    /// <summary>One byte 0xff: consumed, told to nobody.</summary>
    public static bool IsKeepalive(ReadOnlySpan<byte> payload) => payload.Length == 1 && payload[0] == KeepaliveByte;

    /// <summary>
    /// ESP: the SPI is not the non-ESP marker, and it is as long as an IP header at least (Linux means to ask whether both are there, but looks at the
    /// datagram alone). Up to eight bytes are the application's, what is between is dropped and told to nobody.
    /// </summary>
    public static bool IsEsp(ReadOnlySpan<byte> payload, ushort family) =>
        payload.Length >= (family == AddressFamily.Inet ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength) && BinaryPrimitives.ReadUInt32BigEndian(payload) != 0;
}
