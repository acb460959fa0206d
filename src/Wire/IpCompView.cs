using System.Buffers.Binary;

namespace Xfrmd.Wire;

/// <summary>An IPComp header and what it compressed. RFC 3173 section 3. <code>
/// |  Next Header  |     Flags     | Compression Parameter Index   | 0
/// </code></summary>
public readonly ref struct IpCompView
{
    public const int HeaderLength = 4;
    private const int FlagsOffset = 1, CpiOffset = 2;
    private readonly Span<byte> _bytes;

    private IpCompView(Span<byte> bytes) => _bytes = bytes;

    public static bool TryParse(Span<byte> bytes, out IpCompView comp)
    {
        comp = bytes.Length >= HeaderLength ? new IpCompView(bytes) : default;
        return bytes.Length >= HeaderLength;
    }

    public byte NextHeader => _bytes[0];
    public ushort Cpi => BinaryPrimitives.ReadUInt16BigEndian(_bytes[CpiOffset..]);
    public Span<byte> Payload => _bytes[HeaderLength..];

    public static void Write(Span<byte> header, byte nextHeader, ushort cpi)
    {
        header[0] = nextHeader;
        header[FlagsOffset] = 0;
        BinaryPrimitives.WriteUInt16BigEndian(header[CpiOffset..], cpi);
    }
}
