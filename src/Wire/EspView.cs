using System.Buffers.Binary;

namespace Xfrmd.Wire;

/// <summary>An ESP packet. RFC 4303 section 2. <code>
/// |               Security Parameters Index (SPI)                 | 0
/// |                      Sequence Number (low 32)                 | 4
/// |                IV, payload data ... padding, ICV              | 8
/// </code></summary>
public readonly ref struct EspView
{
    public const int HeaderLength = 8;
    private const int SequenceOffset = 4;
    private readonly Span<byte> _bytes;

    private EspView(Span<byte> bytes) => _bytes = bytes;

    public static bool TryParse(Span<byte> bytes, out EspView esp)
    {
        esp = bytes.Length >= HeaderLength ? new EspView(bytes) : default;
        return bytes.Length >= HeaderLength;
    }

    public Span<byte> Bytes => _bytes;
    public uint Spi => BinaryPrimitives.ReadUInt32BigEndian(_bytes);
    public uint Sequence => BinaryPrimitives.ReadUInt32BigEndian(_bytes[SequenceOffset..]);
    public Span<byte> Payload => _bytes[HeaderLength..];

    public static void Write(Span<byte> header, uint spi, uint sequence)
    {
        BinaryPrimitives.WriteUInt32BigEndian(header, spi);
        BinaryPrimitives.WriteUInt32BigEndian(header[SequenceOffset..], sequence);
    }
}
