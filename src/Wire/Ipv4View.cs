using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Xfrmd.Wire;

/// <summary>An IPv4 packet, cut to its total length. RFC 791 section 3.1. <code>
/// |Version|  IHL  |      TOS      |         Total Length          | 0
/// |        Identification         |Flags|     Fragment Offset     | 4
/// |      TTL      |   Protocol    |        Header Checksum        | 8
/// |                        Source Address                         | 12
/// |                     Destination Address                       | 16
/// |                    Options, then the payload                  | 20
/// </code></summary>
public readonly ref struct Ipv4View
{
    public const int MinHeaderLength = 20, AddressLength = 4;
    public const ushort DontFragmentBit = 0x4000, MoreFragmentsBit = 0x2000, OffsetMask = 0x1fff;
    private const int TosOffset = 1, LengthOffset = 2, IdOffset = 4, FragmentOffsetOffset = 6, TtlOffset = 8, ProtocolOffset = 9, ChecksumOffset = 10,
        SaddrOffset = 12, DaddrOffset = 16;
    private readonly Span<byte> _bytes;

    private Ipv4View(Span<byte> bytes) => _bytes = bytes;

    /// <summary>Where the protocol field stands.</summary>
    public static int ProtocolAt => ProtocolOffset;

    /// <summary>Where the time to live stands.</summary>
    public static int TtlAt => TtlOffset;

    /// <summary>As <c>ip_rcv_core</c>, without the checksum: version, header length and total length fit what is there.</summary>
    public static bool TryParse(Span<byte> packet, out Ipv4View ip)
    {
        ip = default;
        if (packet.Length < MinHeaderLength || packet[0] >> 4 != 4)
        {
            return false;
        }
        int header = (packet[0] & 15) * 4, total = BinaryPrimitives.ReadUInt16BigEndian(packet[LengthOffset..]);
        if (header < MinHeaderLength || total < header || total > packet.Length)
        {
            return false;
        }
        ip = new Ipv4View(packet[..total]);
        return true;
    }

    /// <summary>The header alone is whole, whatever the total length says: the start of a packet that an ICMP error quotes.</summary>
    public static bool TryParseHeader(Span<byte> packet, out Ipv4View ip)
    {
        bool whole = packet.Length >= MinHeaderLength && packet[0] >> 4 == 4 && (packet[0] & 15) * 4 is >= MinHeaderLength and int header && header <= packet.Length;
        ip = whole ? new Ipv4View(packet) : default;
        return whole;
    }

    public Span<byte> Bytes => _bytes;
    public int HeaderLength => (_bytes[0] & 15) * 4;
    public byte Tos => _bytes[TosOffset];
    public ushort TotalLength => BinaryPrimitives.ReadUInt16BigEndian(_bytes[LengthOffset..]);
    public ushort Id => BinaryPrimitives.ReadUInt16BigEndian(_bytes[IdOffset..]);

    /// <summary>Flags and fragment offset.</summary>
    public ushort FragmentField => BinaryPrimitives.ReadUInt16BigEndian(_bytes[FragmentOffsetOffset..]);
    public bool DontFragment => (FragmentField & DontFragmentBit) != 0;
    public bool IsFragment => (FragmentField & (MoreFragmentsBit | OffsetMask)) != 0;
    public byte Ttl => _bytes[TtlOffset];
    public byte Protocol => _bytes[ProtocolOffset];
    public Span<byte> Saddr => _bytes.Slice(SaddrOffset, AddressLength);
    public Span<byte> Daddr => _bytes.Slice(DaddrOffset, AddressLength);
    public Span<byte> Options => _bytes[MinHeaderLength..HeaderLength];
    public Span<byte> Payload => _bytes[HeaderLength..];
    public bool HasValidChecksum => InternetChecksum.Verifies(_bytes[..HeaderLength]);

    /// <summary>Sets the TOS byte and mends the checksum (RFC 1624).</summary>
    public void ChangeTos(byte tos)
    {
        ushort old = MemoryMarshal.Read<ushort>(_bytes), checksum = MemoryMarshal.Read<ushort>(_bytes[ChecksumOffset..]);
        _bytes[TosOffset] = tos;
        InternetChecksum.Write(_bytes[ChecksumOffset..], InternetChecksum.Update(checksum, old, MemoryMarshal.Read<ushort>(_bytes)));
    }

    /// <summary>Writes the fields that depend on the whole packet into a header that is otherwise complete: <c>ip_send_check</c>.</summary>
    public static void Complete(Span<byte> header, int totalLength, byte protocol)
    {
        BinaryPrimitives.WriteUInt16BigEndian(header[LengthOffset..], (ushort)totalLength);
        header[ProtocolOffset] = protocol;
        Seal(header);
    }

    /// <summary>Computes the header's checksum anew.</summary>
    public static void Seal(Span<byte> header)
    {
        int length = (header[0] & 15) * 4;
        header[ChecksumOffset] = header[ChecksumOffset + 1] = 0;
        InternetChecksum.Write(header[ChecksumOffset..], InternetChecksum.Finish(InternetChecksum.Sum(header[..length])));
    }

    /// <summary>Writes a whole header without options, its checksum from the values and not from memory, where the words would not lie yet.</summary>
    public static void WriteWhole(
        Span<byte> header, byte tos, int totalLength, ushort id, ushort fragmentField, byte ttl, byte protocol, ReadOnlySpan<byte> saddr, ReadOnlySpan<byte> daddr)
    {
        const uint VersionAndLength = 0x45;
        uint first = (VersionAndLength << 24) | ((uint)tos << 16) | (ushort)totalLength, second = ((uint)id << 16) | fragmentField;
        uint third = ((uint)ttl << 24) | ((uint)protocol << 16), source = BinaryPrimitives.ReadUInt32BigEndian(saddr), destination = BinaryPrimitives.ReadUInt32BigEndian(daddr);
        third |= InternetChecksum.Finish((ulong)first + second + third + source + destination);
        header = header[..MinHeaderLength];
        BinaryPrimitives.WriteUInt32BigEndian(header, first);
        BinaryPrimitives.WriteUInt32BigEndian(header[IdOffset..], second);
        BinaryPrimitives.WriteUInt32BigEndian(header[TtlOffset..], third);
        BinaryPrimitives.WriteUInt32BigEndian(header[SaddrOffset..], source);
        BinaryPrimitives.WriteUInt32BigEndian(header[DaddrOffset..], destination);
    }

    /// <summary>Writes a header without options, without its length, protocol and checksum (see <see cref="Complete"/>).</summary>
    public static void Write(Span<byte> header, byte tos, ushort id, ushort fragmentField, byte ttl, ReadOnlySpan<byte> saddr, ReadOnlySpan<byte> daddr)
    {
        header[0] = 0x45;
        header[TosOffset] = tos;
        BinaryPrimitives.WriteUInt16BigEndian(header[IdOffset..], id);
        BinaryPrimitives.WriteUInt16BigEndian(header[FragmentOffsetOffset..], fragmentField);
        header[TtlOffset] = ttl;
        saddr[..AddressLength].CopyTo(header[SaddrOffset..]);
        daddr[..AddressLength].CopyTo(header[DaddrOffset..]);
    }
}
