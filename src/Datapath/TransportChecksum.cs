using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>
/// Checksums of what came out of a transform. Renews the TCP or UDP checksum of a packet that came in transport mode through a NAT: the peer reckoned it with addresses that the NAT has
/// changed, and the ICV has proved the rest (RFC 3948 section 3.1.2). Linux marks it verified; a packet that goes through a TUN device needs it right.
/// </summary>
internal static class TransportChecksum
{
    private const int CheckedAtOnce = 76;   // CHECKSUM_BREAK

    /// <summary>
    /// What UDP and TCP look at before policy is asked: that the header, or datagram, is whole, that UDP over IPv6 has a checksum, and the checksum of
    /// a short packet (<c>__udp4_lib_rcv</c>, <c>udp4_csum_init</c>, <c>tcp_v4_rcv</c> and their sisters). False: it is lost to them, and policy never sees it.
    /// </summary>
    public static bool PassesEarly(Span<byte> packet)
    {
        if (Ipv4View.TryParse(packet, out Ipv4View ip))
        {
            return ip.IsFragment || Passes(ip.Payload, ip.Protocol, ip.Saddr, ip.Daddr, mayLackChecksum: true);
        }
        return !Ipv6View.TryParse(packet, out Ipv6View ip6) || Passes(ip6.Payload, ip6.NextHeader, ip6.Saddr, ip6.Daddr, mayLackChecksum: false);
    }

    private static bool Passes(Span<byte> upper, byte protocol, ReadOnlySpan<byte> saddr, ReadOnlySpan<byte> daddr, bool mayLackChecksum) => protocol switch
    {
        NextHeader.Udp => UdpView.TryParse(upper, out UdpView udp) && (udp.Checksum == 0 ? mayLackChecksum : IsLongOrRight(udp.Bytes, protocol, saddr, daddr)),
        NextHeader.Tcp => TcpView.TryParse(upper, out _) && IsLongOrRight(upper, protocol, saddr, daddr),
        _ => true,
    };

    private static bool IsLongOrRight(Span<byte> upper, byte protocol, ReadOnlySpan<byte> saddr, ReadOnlySpan<byte> daddr) =>
        upper.Length > CheckedAtOnce || InternetChecksum.Verifies(upper, InternetChecksum.PseudoHeader(saddr, daddr, protocol, upper.Length));

    public static void Renew(Span<byte> packet)
    {
        if (Ipv4View.TryParse(packet, out Ipv4View ip))
        {
            if (!ip.IsFragment)
            {
                Renew(ip.Payload, ip.Protocol, ip.Saddr, ip.Daddr);
            }
        }
        else if (Ipv6View.TryParse(packet, out Ipv6View ip6)
            && Ipv6Extensions.TryFindUpper(ip6.Bytes, out byte protocol, out int offset, out _, out int fragment) && fragment == 0)
        {
            Renew(ip6.Bytes[offset..], protocol, ip6.Saddr, ip6.Daddr);
        }
    }

    private static void Renew(Span<byte> upper, byte protocol, ReadOnlySpan<byte> saddr, ReadOnlySpan<byte> daddr)
    {
        ulong pseudo = InternetChecksum.PseudoHeader(saddr, daddr, protocol, upper.Length);
        if (protocol == NextHeader.Tcp && TcpView.TryParse(upper, out _))
        {
            Span<byte> field = upper.Slice(TcpView.ChecksumAt, sizeof(ushort));
            field.Clear();
            InternetChecksum.Write(field, InternetChecksum.Finish(InternetChecksum.Sum(upper, pseudo)));
        }
        else if (protocol == NextHeader.Udp && UdpView.TryParse(upper, out UdpView udp) && udp.Checksum != 0)
        {
            UdpView.Seal(udp.Bytes, InternetChecksum.PseudoHeader(saddr, daddr, protocol, udp.Length));
        }
    }
}
