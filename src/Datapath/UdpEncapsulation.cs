using System.Buffers.Binary;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>What a datagram on an encapsulating socket is. RFC 3948 section 2, as <c>__xfrm4_udp_encap_rcv</c>.</summary>
public static class UdpEncapsulation
{
    private const byte KeepaliveByte = 0xff;

    /// <summary>One byte 0xff: consumed, told to nobody.</summary>
    public static bool IsKeepalive(ReadOnlySpan<byte> payload) => payload.Length == 1 && payload[0] == KeepaliveByte;

    /// <summary>
    /// ESP: the SPI is not the non-ESP marker, and it is as long as an IP header at least (Linux means to ask whether both are there, but looks at the
    /// datagram alone). Up to eight bytes are the application's, what is between is dropped and told to nobody.
    /// </summary>
    public static bool IsEsp(ReadOnlySpan<byte> payload, ushort family) =>
        payload.Length >= (family == AddressFamily.Inet ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength) && BinaryPrimitives.ReadUInt32BigEndian(payload) != 0;
}
