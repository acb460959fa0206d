using System.Buffers.Binary;

namespace Xfrmd.Wire;

/// <summary>A TCP segment. RFC 9293 section 3.1. <code>
/// |          Source Port          |       Destination Port        | 0
/// |                        Sequence Number                        | 4
/// |                    Acknowledgment Number                      | 8
/// | Offset|  Res  |     Flags     |            Window             | 12
/// |           Checksum            |        Urgent Pointer         | 16
/// </code></summary>
public readonly ref struct TcpView
{
    public const int MinHeaderLength = 20, ChecksumAt = 16;
    private const int SportOffset = 0, DportOffset = 2, SequenceOffset = 4, AckOffset = 8, DataOffset = 12, FlagsOffset = 13;
    private readonly Span<byte> _bytes;

    private TcpView(Span<byte> bytes) => _bytes = bytes;

    public static bool TryParse(Span<byte> bytes, out TcpView tcp)
    {
        bool whole = bytes.Length >= MinHeaderLength && bytes[DataOffset] >> 4 is >= 5 and int words && words * 4 <= bytes.Length;
        tcp = whole ? new TcpView(bytes) : default;
        return whole;
    }

    public Span<byte> Bytes => _bytes;
    public ushort Sport => BinaryPrimitives.ReadUInt16BigEndian(_bytes[SportOffset..]);
    public ushort Dport => BinaryPrimitives.ReadUInt16BigEndian(_bytes[DportOffset..]);
    public uint Sequence => BinaryPrimitives.ReadUInt32BigEndian(_bytes[SequenceOffset..]);
    public uint Ack => BinaryPrimitives.ReadUInt32BigEndian(_bytes[AckOffset..]);
    public int HeaderLength => (_bytes[DataOffset] >> 4) * 4;
    public byte Flags => _bytes[FlagsOffset];
    public ushort Checksum => BinaryPrimitives.ReadUInt16BigEndian(_bytes[ChecksumAt..]);
    public Span<byte> Payload => _bytes[HeaderLength..];
}
