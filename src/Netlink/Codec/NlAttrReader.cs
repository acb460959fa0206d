using System.Buffers.Binary;

namespace Xfrmd.Netlink.Codec;

/// <summary>
/// Walks the attributes of a message (<c>nla_for_each_attr</c>): stops at the first header that is too short or reaches past the end. No
/// bytes make it throw.
/// </summary>
internal ref struct NlAttrReader
{
    private readonly ReadOnlySpan<byte> _bytes;
    private int _next;

    /// <param name="bytes">The whole message: offsets count from its begin.</param>
    /// <param name="start">Where the first attribute stands; past the end means that there is none.</param>
    public NlAttrReader(ReadOnlySpan<byte> bytes, int start)
    {
        _bytes = bytes;
        _next = start;
    }

    public NlAttr Current { get; private set; }

    /// <summary>Bytes that are no attribute are left where <see cref="MoveNext"/> stopped. Missing padding of the last one does not count.</summary>
    public readonly bool HasLeftover => _next < _bytes.Length;

    public readonly NlAttrReader GetEnumerator() => this;

    public bool MoveNext()
    {
        if (_bytes.Length - _next < NlAttr.HeaderSize)
        {
            return false;
        }
        ReadOnlySpan<byte> rest = _bytes[_next..];
        int length = Host16(rest);
        if (length < NlAttr.HeaderSize || length > rest.Length)
        {
            return false;
        }
        Current = new NlAttr(Host16(rest[2..]), _next, rest[NlAttr.HeaderSize..length]);
        _next += NlAttr.Align(length);
        return true;
    }

    private static ushort Host16(ReadOnlySpan<byte> bytes) =>
        BitConverter.IsLittleEndian ? BinaryPrimitives.ReadUInt16LittleEndian(bytes) : BinaryPrimitives.ReadUInt16BigEndian(bytes);
}
