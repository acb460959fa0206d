using System.Buffers.Binary;

namespace Xfrmd.Wire;

/// <summary>An authentication header and what follows it. RFC 4302 section 2. <code>
/// |  Next Header  | Payload Len   |          RESERVED             | 0
/// |               Security Parameters Index (SPI)                 | 4
/// |                    Sequence Number (low 32)                   | 8
/// |                          ICV, padding                         | 12
/// </code></summary>
public readonly ref struct AhView
{
    public const int FixedLength = 12;
    private const int LengthOffset = 1, ReservedOffset = 2, SpiOffset = 4, SequenceOffset = 8;
    private readonly Span<byte> _bytes;

    private AhView(Span<byte> bytes) => _bytes = bytes;

    /// <summary>The fixed part is there. The length that the header claims is checked by the reader (<see cref="HeaderLength"/>).</summary>
    public static bool TryParse(Span<byte> bytes, out AhView ah)
    {
        ah = bytes.Length >= FixedLength ? new AhView(bytes) : default;
        return bytes.Length >= FixedLength;
    }

    public Span<byte> Bytes => _bytes;
    public byte NextHeader => _bytes[0];

    /// <summary>The header's length in bytes: the field counts words, less two.</summary>
    public int HeaderLength => (_bytes[LengthOffset] + 2) * 4;
    public uint Spi => BinaryPrimitives.ReadUInt32BigEndian(_bytes[SpiOffset..]);
    public uint Sequence => BinaryPrimitives.ReadUInt32BigEndian(_bytes[SequenceOffset..]);

    public static void Write(Span<byte> header, byte nextHeader, int headerLength, uint spi, uint sequence)
    {
        header[0] = nextHeader;
        header[LengthOffset] = (byte)((headerLength / 4) - 2);
        BinaryPrimitives.WriteUInt16BigEndian(header[ReservedOffset..], 0);
        BinaryPrimitives.WriteUInt32BigEndian(header[SpiOffset..], spi);
        BinaryPrimitives.WriteUInt32BigEndian(header[SequenceOffset..], sequence);
    }
}
