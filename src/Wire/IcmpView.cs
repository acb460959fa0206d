using System.Buffers.Binary;

namespace Xfrmd.Wire;

/// <summary>An ICMP (RFC 792) or ICMPv6 (RFC 4443) message; both begin alike. <code>
/// |     Type      |     Code      |           Checksum            | 0
/// |      unused, pointer, or the MTU (ICMP: the lower half)       | 4
/// |          of an error: the packet that it is about             | 8
/// </code></summary>
public readonly ref struct IcmpView
{
    public const int HeaderLength = 8;
    public const byte Unreachable = 3, SourceQuench = 4, Redirect = 5, TimeExceeded = 11, ParameterProblem = 12, FragmentationNeeded = 4;
    public const byte V6Unreachable = 1, V6PacketTooBig = 2, V6TimeExceeded = 3, V6ParameterProblem = 4, V6Informational = 128;
    private const int CodeOffset = 1, ChecksumOffset = 2, RestOffset = 4;
    private readonly Span<byte> _bytes;

    private IcmpView(Span<byte> bytes) => _bytes = bytes;

    public static bool TryParse(Span<byte> bytes, out IcmpView icmp)
    {
        icmp = bytes.Length >= HeaderLength ? new IcmpView(bytes) : default;
        return bytes.Length >= HeaderLength;
    }

    public Span<byte> Bytes => _bytes;
    public byte Type => _bytes[0];
    public byte Code => _bytes[CodeOffset];

    /// <summary>The MTU of "fragmentation needed" (RFC 1191 section 4).</summary>
    public ushort Mtu => BinaryPrimitives.ReadUInt16BigEndian(_bytes[(RestOffset + 2)..]);

    /// <summary>The MTU of "packet too big" (RFC 4443 section 3.2).</summary>
    public uint V6Mtu => BinaryPrimitives.ReadUInt32BigEndian(_bytes[RestOffset..]);

    /// <summary>What follows the first eight bytes.</summary>
    public Span<byte> Embedded => _bytes[HeaderLength..];

    /// <summary>Of ICMP for IPv4.</summary>
    public static bool IsErrorType(int type) => type is Unreachable or SourceQuench or Redirect or TimeExceeded or ParameterProblem;

    public bool IsError => IsErrorType(Type);
    public bool IsV6Error => Type < V6Informational;

    /// <summary>Writes a message's first eight bytes and seals it.</summary>
    /// <param name="message">The whole message; what it quotes is in place.</param>
    /// <param name="type">Type.</param>
    /// <param name="code">Code.</param>
    /// <param name="rest">The second word.</param>
    /// <param name="pseudoHeader">0 for ICMP.</param>
    public static void Write(Span<byte> message, byte type, byte code, uint rest, ulong pseudoHeader)
    {
        message[0] = type;
        message[CodeOffset] = code;
        message[ChecksumOffset] = message[ChecksumOffset + 1] = 0;
        BinaryPrimitives.WriteUInt32BigEndian(message[RestOffset..], rest);
        InternetChecksum.Write(message[ChecksumOffset..], InternetChecksum.Finish(InternetChecksum.Sum(message, pseudoHeader)));
    }
}
