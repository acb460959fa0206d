using System.Buffers.Binary;

namespace Xfrmd.Wire;

/// <summary>An IP-TFS payload. RFC 9347 section 6.1. <code>
/// |  Sub-type (0) |  Reserved     |         BlockOffset           | 0
/// |                       data blocks ...                         | 4
/// </code>The congestion-control header (sub-type 1) is 24 bytes long and begins alike.</summary>
public readonly ref struct AggfragView
{
    public const int HeaderLength = 4;
    public const byte Basic = 0, CongestionControl = 1;
    private const int CongestionControlLength = 24, ReservedOffset = 1, BlockOffsetOffset = 2;
    private readonly ReadOnlySpan<byte> _bytes;

    private AggfragView(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary>The header is all there, for the sub-type that it tells.</summary>
    public static bool IsWhole(ReadOnlySpan<byte> bytes) => bytes.Length >= (bytes is [CongestionControl, ..] ? CongestionControlLength : HeaderLength);

    /// <summary>The sub-type is known, its header is whole, and the reserved bits are zero.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out AggfragView aggfrag)
    {
        aggfrag = default;
        if (!IsWhole(bytes) || bytes[0] > CongestionControl || bytes[ReservedOffset] != 0)
        {
            return false;
        }
        aggfrag = new AggfragView(bytes);
        return true;
    }

    /// <summary>Bytes of the data that go on with the packet before; the next data block begins after them, possibly in a later payload.</summary>
    public int BlockOffset => BinaryPrimitives.ReadUInt16BigEndian(_bytes[BlockOffsetOffset..]);

    public ReadOnlySpan<byte> Data => _bytes[(_bytes[0] == Basic ? HeaderLength : CongestionControlLength)..];

    public static void Write(Span<byte> header, int blockOffset)
    {
        header[0] = Basic;
        header[ReservedOffset] = 0;
        BinaryPrimitives.WriteUInt16BigEndian(header[BlockOffsetOffset..], (ushort)blockOffset);
    }
}
