using System.Buffers.Binary;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Cli.Control;

/// <summary>Of whom a packet speaks: its addresses, and the SPI that it names.</summary>
internal readonly record struct PacketNames
{
    private const int Ipv4FragmentAt = 6;
    private const ushort NatTraversal = 4500;

    public ushort Family { get; init; }

    public XfrmAddress Saddr { get; init; }

    public XfrmAddress Daddr { get; init; }

    /// <summary>ESP, AH, IPComp; or what else follows the IP header.</summary>
    public byte Protocol { get; init; }

    /// <summary>0: it names none.</summary>
    public Be32 Spi { get; init; }

    /// <summary>A fragment other than the first.</summary>
    public bool IsFragment { get; init; }

    /// <param name="bytes">From the IP header on; what is cut off is not looked at.</param>
    public static PacketNames Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length >= Ipv4View.MinHeaderLength && bytes[0] >> 4 == 4)
        {
            int header = (bytes[0] & 15) * 4;
            bool isFragment = (BinaryPrimitives.ReadUInt16BigEndian(bytes[Ipv4FragmentAt..]) & 0x1fff) != 0;
            return Read(new PacketNames
            {
                Family = AddressFamily.Inet,
                Saddr = new XfrmAddress(bytes.Slice(12, 4)),
                Daddr = new XfrmAddress(bytes.Slice(16, 4)),
                Protocol = bytes[9],
                IsFragment = isFragment,
            }, bytes[Math.Min(header, bytes.Length)..]);
        }
        if (bytes.Length >= Ipv6View.HeaderLength && bytes[0] >> 4 == 6)
        {
            ReadOnlySpan<byte> rest = bytes[Ipv6View.HeaderLength..];
            byte next = bytes[6];
            bool isFragment = false;
            while (next is NextHeader.HopByHop or NextHeader.Routing or NextHeader.Destination or NextHeader.Fragment && rest.Length >= 8)
            {
                isFragment |= next == NextHeader.Fragment && (BinaryPrimitives.ReadUInt16BigEndian(rest[2..]) & 0xfff8) != 0;
                int length = next == NextHeader.Fragment ? 8 : (rest[1] + 1) * 8;
                next = rest[0];
                rest = rest[Math.Min(length, rest.Length)..];
            }
            return Read(new PacketNames
            {
                Family = AddressFamily.Inet6,
                Saddr = new XfrmAddress(bytes.Slice(8, 16)),
                Daddr = new XfrmAddress(bytes.Slice(24, 16)),
                Protocol = next,
                IsFragment = isFragment,
            }, rest);
        }
        return default;
    }

    private static PacketNames Read(in PacketNames names, ReadOnlySpan<byte> payload)
    {
        if (names.IsFragment)
        {
            return names;
        }
        switch (names.Protocol)
        {
            case IpProtocol.Esp when payload.Length >= 4:
                return names with { Spi = Be32.From(BinaryPrimitives.ReadUInt32BigEndian(payload)) };
            case IpProtocol.Ah when payload.Length >= 8:
                return names with { Spi = Be32.From(BinaryPrimitives.ReadUInt32BigEndian(payload[4..])) };
            case IpProtocol.Comp when payload.Length >= 4:
                return names with { Spi = Be32.From(BinaryPrimitives.ReadUInt16BigEndian(payload[2..])) };
            case IpProtocol.Udp when payload.Length >= UdpView.HeaderLength + EspView.HeaderLength && IsEspPort(payload)
                && BinaryPrimitives.ReadUInt32BigEndian(payload[UdpView.HeaderLength..]) != 0:
                return names with { Protocol = IpProtocol.Esp, Spi = Be32.From(BinaryPrimitives.ReadUInt32BigEndian(payload[UdpView.HeaderLength..])) };
            default:
                return names;
        }
    }

    private static bool IsEspPort(ReadOnlySpan<byte> udp) =>
        BinaryPrimitives.ReadUInt16BigEndian(udp) == NatTraversal || BinaryPrimitives.ReadUInt16BigEndian(udp[2..]) == NatTraversal;

}
