using System.Buffers.Binary;

namespace Xfrmd.Wire;

/// <summary>An IPv6 packet, cut to its payload length. RFC 8200 section 3. <code>
/// |Version| Traffic Class |              Flow Label               | 0
/// |        Payload Length         |  Next Header  |   Hop Limit   | 4
/// |                        Source Address                         | 8
/// |                     Destination Address                       | 24
/// |             extension headers, then the payload               | 40
/// </code></summary>
public readonly ref struct Ipv6View
{
    public const int HeaderLength = 40, AddressLength = 16, MinMtu = 1280;
    public const uint FlowLabelMask = 0xfffff;
    private const int LengthOffset = 4, NextHeaderOffset = 6, HopLimitOffset = 7, SaddrOffset = 8, DaddrOffset = 24;
    private readonly Span<byte> _bytes;

    private Ipv6View(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Where the fixed header's next header field stands.</summary>
    public static int NextHeaderAt => NextHeaderOffset;

    /// <summary>Where the hop limit stands.</summary>
    public static int HopLimitAt => HopLimitOffset;

    /// <summary>As <c>ip6_rcv_core</c>: version and payload length fit what is there. Jumbograms are not known here.</summary>
    public static bool TryParse(Span<byte> packet, out Ipv6View ip)
    {
        ip = default;
        if (packet.Length < HeaderLength || packet[0] >> 4 != 6)
        {
            return false;
        }
        int total = HeaderLength + BinaryPrimitives.ReadUInt16BigEndian(packet[LengthOffset..]);
        if (total > packet.Length)
        {
            return false;
        }
        ip = new Ipv6View(packet[..total]);
        return true;
    }

    /// <summary>The header alone is whole, whatever the payload length says: the start of a packet that an ICMP error quotes.</summary>
    public static bool TryParseHeader(Span<byte> packet, out Ipv6View ip)
    {
        bool whole = packet.Length >= HeaderLength && packet[0] >> 4 == 6;
        ip = whole ? new Ipv6View(packet) : default;
        return whole;
    }

    public Span<byte> Bytes => _bytes;
    public byte TrafficClass => (byte)(BinaryPrimitives.ReadUInt16BigEndian(_bytes) >> 4);
    public uint FlowLabel => BinaryPrimitives.ReadUInt32BigEndian(_bytes) & FlowLabelMask;
    public ushort PayloadLength => BinaryPrimitives.ReadUInt16BigEndian(_bytes[LengthOffset..]);
    public byte NextHeader => _bytes[NextHeaderOffset];
    public byte HopLimit => _bytes[HopLimitOffset];
    public Span<byte> Saddr => _bytes.Slice(SaddrOffset, AddressLength);
    public Span<byte> Daddr => _bytes.Slice(DaddrOffset, AddressLength);
    public Span<byte> Payload => _bytes[HeaderLength..];

    /// <summary>
    /// What <c>ip6_rcv_core</c> takes from no link: a group as the source (RFC 4291 section 2.7), a group of scope 0 or 1, loopback at either end.
    /// </summary>
    public bool HasForbiddenAddress
    {
        get
        {
            const byte Group = 0xFF, ScopeMask = 15;
            ReadOnlySpan<byte> saddr = Saddr, daddr = Daddr;
            return saddr[0] == Group || (daddr[0] == Group && (daddr[1] & ScopeMask) <= 1) || (daddr[0] == 0 && IsLoopback(daddr)) || (saddr[0] == 0 && IsLoopback(saddr));
        }
    }

    public void ChangeTrafficClass(byte trafficClass) => WriteFirstWord(_bytes, trafficClass, FlowLabel);

    /// <summary>Writes the payload length into a header that is otherwise complete.</summary>
    public static void Complete(Span<byte> header, int totalLength) =>
        BinaryPrimitives.WriteUInt16BigEndian(header[LengthOffset..], (ushort)(totalLength - HeaderLength));

    /// <summary>Writes a header without its payload length (see <see cref="Complete"/>).</summary>
    public static void Write(Span<byte> header, byte trafficClass, uint flowLabel, byte nextHeader, byte hopLimit, ReadOnlySpan<byte> saddr, ReadOnlySpan<byte> daddr)
    {
        WriteFirstWord(header, trafficClass, flowLabel);
        header[NextHeaderOffset] = nextHeader;
        header[HopLimitOffset] = hopLimit;
        saddr[..AddressLength].CopyTo(header[SaddrOffset..]);
        daddr[..AddressLength].CopyTo(header[DaddrOffset..]);
    }

    private static bool IsLoopback(ReadOnlySpan<byte> address) => BinaryPrimitives.ReadUInt128BigEndian(address) == UInt128.One;

    public static void WriteFirstWord(Span<byte> header, byte trafficClass, uint flowLabel) =>
        BinaryPrimitives.WriteUInt32BigEndian(header, (6u << 28) | ((uint)trafficClass << 20) | (flowLabel & FlowLabelMask));
}
