using System.Buffers.Binary;

namespace Xfrmd.Wire;

/// <summary>A UDP header and its payload. RFC 768. <code>
/// |          Source Port          |       Destination Port        | 0
/// |            Length             |           Checksum            | 4
/// </code></summary>
public readonly ref struct UdpView
{
    public const int HeaderLength = 8, ChecksumAt = 6;
    private const int SportOffset = 0, DportOffset = 2, LengthOffset = 4;
    private readonly Span<byte> _bytes;

    private UdpView(Span<byte> bytes) => _bytes = bytes;

    public static bool TryParse(Span<byte> bytes, out UdpView udp)
    {
        udp = default;
        if (bytes.Length < HeaderLength)
        {
            return false;
        }
        int length = BinaryPrimitives.ReadUInt16BigEndian(bytes[LengthOffset..]);
        if (length < HeaderLength || length > bytes.Length)
        {
            return false;
        }
        udp = new UdpView(bytes[..length]);
        return true;
    }

    public Span<byte> Bytes => _bytes;
    public ushort Sport => BinaryPrimitives.ReadUInt16BigEndian(_bytes[SportOffset..]);
    public ushort Dport => BinaryPrimitives.ReadUInt16BigEndian(_bytes[DportOffset..]);
    public ushort Length => BinaryPrimitives.ReadUInt16BigEndian(_bytes[LengthOffset..]);
    public ushort Checksum => BinaryPrimitives.ReadUInt16BigEndian(_bytes[ChecksumAt..]);
    public Span<byte> Payload => _bytes[HeaderLength..];

    /// <summary>Writes a header with checksum 0: none.</summary>
    public static void Write(Span<byte> header, ushort sport, ushort dport, int length)
    {
        BinaryPrimitives.WriteUInt16BigEndian(header[SportOffset..], sport);
        BinaryPrimitives.WriteUInt16BigEndian(header[DportOffset..], dport);
        SetLength(header, length);
        BinaryPrimitives.WriteUInt16BigEndian(header[ChecksumAt..], 0);
    }

    public static void SetLength(Span<byte> header, int length) => BinaryPrimitives.WriteUInt16BigEndian(header[LengthOffset..], (ushort)length);

    /// <summary>Computes the checksum over a pseudo header's sum and the datagram; 0 travels as 0xffff.</summary>
    public static void Seal(Span<byte> datagram, ulong pseudoHeader)
    {
        datagram[ChecksumAt] = datagram[ChecksumAt + 1] = 0;
        ushort checksum = InternetChecksum.Finish(InternetChecksum.Sum(datagram, pseudoHeader));
        InternetChecksum.Write(datagram[ChecksumAt..], checksum == 0 ? ushort.MaxValue : checksum);
    }
}
