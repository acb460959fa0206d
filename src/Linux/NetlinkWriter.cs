using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Xfrmd.Linux;

/// <summary>
/// Writes netlink requests one behind the other into a growing buffer: <c>struct nlmsghdr</c>, a family header, attributes padded to four
/// bytes. Nests are closed by the token that opened them.
/// </summary>
public sealed class NetlinkWriter
{
    private const int HeaderSize = 16;
    private byte[] _buffer = new byte[4096];
    private int _length;
    private int _message;

    /// <summary>What has been written since <see cref="Clear"/>.</summary>
    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    public int Length => _length;

    /// <summary>The sequence number of the message written last.</summary>
    public uint Sequence { get; private set; }

    public void Clear() => _length = 0;

    /// <summary>Starts a message; <see cref="EndMessage"/> writes its length.</summary>
    public void BeginMessage<THeader>(ushort type, ushort flags, in THeader familyHeader)
        where THeader : unmanaged
    {
        _message = _length;
        Span<byte> header = Grow(HeaderSize);
        MemoryMarshal.Write(header[4..], type);
        MemoryMarshal.Write(header[6..], flags);
        MemoryMarshal.Write(header[8..], ++Sequence);
        MemoryMarshal.Write(Grow(Align(Unsafe.SizeOf<THeader>())), familyHeader);
    }

    public void EndMessage() => MemoryMarshal.Write(_buffer.AsSpan(_message), (uint)(_length - _message));

    /// <summary>Adds flags to the message that <see cref="EndMessage"/> closed last.</summary>
    public void AddFlagsToLast(ushort flags)
    {
        Span<byte> field = _buffer.AsSpan(_message + 6);
        MemoryMarshal.Write(field, (ushort)(MemoryMarshal.Read<ushort>(field) | flags));
    }

    public void Bytes(ushort type, ReadOnlySpan<byte> value)
    {
        Span<byte> attribute = Grow(Align(4 + value.Length));
        MemoryMarshal.Write(attribute, (ushort)(4 + value.Length));
        MemoryMarshal.Write(attribute[2..], type);
        value.CopyTo(attribute[4..]);
    }

    /// <summary>A NUL-terminated string.</summary>
    public void Text(ushort type, string value)
    {
        Span<byte> bytes = stackalloc byte[256];
        int length = Encoding.UTF8.GetBytes(value, bytes[..255]);
        bytes[length] = 0;
        Bytes(type, bytes[..(length + 1)]);
    }

    public void Byte(ushort type, byte value) => Bytes(type, [value]);

    /// <summary>A number in host byte order (rtnetlink).</summary>
    public void Host32(ushort type, uint value) => Bytes(type, MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in value)));

    /// <summary>A number in network byte order (netfilter).</summary>
    public void Be16(ushort type, ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, value);
        Bytes(type, bytes);
    }

    public void Be32(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        Bytes(type, bytes);
    }

    public void Be64(ushort type, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        Bytes(type, bytes);
    }

    /// <summary>Opens a nested attribute; the token belongs to <see cref="EndNest"/>.</summary>
    public int BeginNest(ushort type, bool flagged = true)
    {
        int token = _length;
        MemoryMarshal.Write(Grow(4)[2..], (ushort)(type | (flagged ? NetlinkConstants.NLA_F_NESTED : 0)));
        return token;
    }

    public void EndNest(int token) => MemoryMarshal.Write(_buffer.AsSpan(token), checked((ushort)(_length - token)));

    /// <summary>Bytes that a nest opened at <paramref name="token"/> has so far: its length field has sixteen bits.</summary>
    public int NestLength(int token) => _length - token;

    private Span<byte> Grow(int count)
    {
        if (_length + count > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + count));
        }
        Span<byte> span = _buffer.AsSpan(_length, count);
        span.Clear();
        _length += count;
        return span;
    }

    private static int Align(int length) => (length + 3) & ~3;
}
