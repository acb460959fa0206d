namespace Xfrmd.Wire;

/// <summary>
/// Walks over IPv6 extension headers (RFC 8200 section 4). Each is <code>
/// |  Next Header  |  Length / 8 - 1  |  ...  </code> but the fragment header, whose length is 8.
/// </summary>
public static class Ipv6Extensions
{
    private const int UnitLength = 8, FragmentLength = 8, OffsetMask = 0xfff8;

    /// <summary>
    /// Where ESP, AH and IPComp go in transport mode: <c>ip6_find_1stfragopt</c>. Hop-by-hop, routing, and destination options that no routing
    /// header precedes stay outside; a fragment header is the border.
    /// </summary>
    /// <param name="packet">From the IPv6 header on.</param>
    /// <param name="offset">Where the rest begins.</param>
    /// <param name="nextHeaderAt">Where the field stands that names what begins there.</param>
    public static bool TryFindFragmentable(ReadOnlySpan<byte> packet, out int offset, out int nextHeaderAt)
    {
        offset = Ipv6View.HeaderLength;
        nextHeaderAt = Ipv6View.NextHeaderAt;
        bool routed = false;
        while (offset <= packet.Length)
        {
            switch (packet[nextHeaderAt])
            {
                case NextHeader.HopByHop:
                    break;
                case NextHeader.Routing:
                    routed = true;
                    break;
                case NextHeader.Destination when !routed:
                    break;
                default:
                    return true;
            }
            if (!TryStep(packet, ref offset, ref nextHeaderAt))
            {
                return false;
            }
        }
        return false;
    }

    /// <summary>The header that is no hop-by-hop, routing, destination options or fragment header: what a flow is told by.</summary>
    /// <param name="packet">From the IPv6 header on.</param>
    /// <param name="protocol">What the upper layer is.</param>
    /// <param name="offset">Where it begins.</param>
    /// <param name="nextHeaderAt">Where the field stands that names it.</param>
    /// <param name="fragment">A fragment header was passed: 0 no, 1 the first fragment, 2 a later one.</param>
    public static bool TryFindUpper(ReadOnlySpan<byte> packet, out byte protocol, out int offset, out int nextHeaderAt, out int fragment)
    {
        offset = Ipv6View.HeaderLength;
        nextHeaderAt = Ipv6View.NextHeaderAt;
        fragment = 0;
        for (; ; )
        {
            protocol = packet[nextHeaderAt];
            switch (protocol)
            {
                case NextHeader.HopByHop or NextHeader.Routing or NextHeader.Destination:
                    if (!TryStep(packet, ref offset, ref nextHeaderAt))
                    {
                        return false;
                    }
                    break;
                case NextHeader.Fragment:
                    if (offset + FragmentLength > packet.Length)
                    {
                        return false;
                    }
                    fragment = (((packet[offset + 2] << 8) | packet[offset + 3]) & OffsetMask) == 0 ? 1 : 2;
                    nextHeaderAt = offset;
                    offset += FragmentLength;
                    protocol = packet[nextHeaderAt];
                    if (fragment == 2)
                    {
                        return true;
                    }
                    break;
                default:
                    return true;
            }
        }
    }

    /// <summary>Goes past the option or routing header at <paramref name="offset"/>.</summary>
    public static bool TryStep(ReadOnlySpan<byte> packet, ref int offset, ref int nextHeaderAt)
    {
        if (offset + 2 > packet.Length)
        {
            return false;
        }
        int length = (packet[offset + 1] + 1) * UnitLength;
        if (offset + length > packet.Length)
        {
            return false;
        }
        nextHeaderAt = offset;
        offset += length;
        return true;
    }
}
