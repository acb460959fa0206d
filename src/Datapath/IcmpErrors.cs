using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>The ICMP errors that tell an inner sender that its packet is too big. Mirrors <c>icmp_send</c> and <c>icmp6_send</c>.</summary>
public static class IcmpErrors
{
    /// <summary>Room that an error may need.</summary>
    public const int MaxLength = Ipv6View.MinMtu;

    private const int MaxLength4 = 576;   // RFC 1812 section 4.3.2.3
    private const byte Ttl = 64, InternetControl = 0xc0;

    /// <summary>
    /// Writes "fragmentation needed" or "packet too big" about a packet. 0: there is none to be sent, as the packet is itself an ICMP error, a later
    /// fragment, or comes from nowhere.
    /// </summary>
    /// <param name="packet">The untouched inner packet.</param>
    /// <param name="mtu">What fits: <see cref="OutboundBundle.InnerMtu"/>, or <see cref="OutboundBundle.InnerMtu6"/> for IPv6.</param>
    /// <param name="saddr">Who says so: an address of ours of the packet's family, 4 or 16 bytes.</param>
    /// <param name="message">Where the whole IP packet goes: <see cref="MaxLength"/> bytes.</param>
    /// <returns>Its length.</returns>
    public static int TooBig(Span<byte> packet, int mtu, ReadOnlySpan<byte> saddr, Span<byte> message)
    {
        if (Ipv4View.TryParse(packet, out Ipv4View ip))
        {
            return MayAnswer(ip) && saddr.Length == Ipv4View.AddressLength ? FragmentationNeeded(ip, mtu, saddr, message) : 0;
        }
        return Ipv6View.TryParse(packet, out Ipv6View ip6) && MayAnswer(ip6) && saddr.Length == Ipv6View.AddressLength ? PacketTooBig(ip6, mtu, saddr, message) : 0;
    }

    private static int FragmentationNeeded(Ipv4View ip, int mtu, ReadOnlySpan<byte> saddr, Span<byte> message)
    {
        const int Before = Ipv4View.MinHeaderLength + IcmpView.HeaderLength;
        int quoted = Math.Min((int)ip.TotalLength, MaxLength4 - Before), length = Before + quoted;
        ip.Bytes[..quoted].CopyTo(message[Before..]);
        IcmpView.Write(message[Ipv4View.MinHeaderLength..length], IcmpView.Unreachable, IcmpView.FragmentationNeeded, (uint)mtu & ushort.MaxValue, 0);
        Ipv4View.WriteWhole(message, (byte)((ip.Tos & 0x1e) | InternetControl), length, 0, 0, Ttl, NextHeader.Icmp, saddr, ip.Saddr);
        return length;
    }

    private static int PacketTooBig(Ipv6View ip, int mtu, ReadOnlySpan<byte> saddr, Span<byte> message)
    {
        const int Before = Ipv6View.HeaderLength + IcmpView.HeaderLength;
        int quoted = Math.Min(ip.Bytes.Length, MaxLength - Before), length = Before + quoted;
        ip.Bytes[..quoted].CopyTo(message[Before..]);
        ulong pseudo = InternetChecksum.PseudoHeader(saddr, ip.Saddr, NextHeader.Icmpv6, length - Ipv6View.HeaderLength);
        IcmpView.Write(message[Ipv6View.HeaderLength..length], IcmpView.V6PacketTooBig, 0, (uint)mtu, pseudo);
        Ipv6View.Write(message, 0, 0, NextHeader.Icmpv6, Ttl, saddr, ip.Saddr);
        Ipv6View.Complete(message, length);
        return length;
    }

    // RFC 1122 section 3.2.2
    private static bool MayAnswer(Ipv4View ip)
    {
        bool isLater = (ip.FragmentField & Ipv4View.OffsetMask) != 0, isUnicast = ip.Saddr[0] is > 0 and < 224;
        bool isError = ip.Protocol == NextHeader.Icmp && IcmpView.TryParse(ip.Payload, out IcmpView icmp) && icmp.IsError;
        return !isLater && isUnicast && !isError;
    }

    // RFC 4443 section 2.4 (e)
    private static bool MayAnswer(Ipv6View ip)
    {
        bool isUnicast = ip.Saddr[0] != 0xff && ip.Saddr.ContainsAnyExcept((byte)0);
        bool isError = Ipv6Extensions.TryFindUpper(ip.Bytes, out byte protocol, out int offset, out _, out _) && protocol == NextHeader.Icmpv6
            && IcmpView.TryParse(ip.Bytes[offset..], out IcmpView icmp) && icmp.IsV6Error;
        return isUnicast && !isError;
    }
}
