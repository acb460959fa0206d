using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Xfrmd.Linux;

/// <summary>One message that the kernel answered: its type, the request it belongs to, and the bytes behind <c>struct nlmsghdr</c>.</summary>
public readonly ref struct NetlinkReply(ushort type, uint sequence, ReadOnlySpan<byte> body)
{
    public ushort Type { get; } = type;

    public uint Sequence { get; } = sequence;

    public ReadOnlySpan<byte> Body { get; } = body;

    /// <summary>The value of an attribute behind a family header of <paramref name="headerSize"/> bytes; empty where there is none.</summary>
    public ReadOnlySpan<byte> Attribute(int headerSize, ushort type) => Find(Body.Length < headerSize ? default : Body[headerSize..], type);

    public static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> attributes, ushort type)
    {
        for (; TryFirst(attributes, out ushort found, out ReadOnlySpan<byte> value, out int padded); attributes = attributes[padded..])
        {
            if (found == type)
            {
                return value;
            }
        }
        return default;
    }

    /// <summary>The first of some attributes; false where there is no whole one.</summary>
    /// <param name="attributes">One behind the other.</param>
    /// <param name="type">Without its flags.</param>
    /// <param name="value">What it holds.</param>
    /// <param name="padded">Bytes to where the next one begins.</param>
    public static bool TryFirst(ReadOnlySpan<byte> attributes, out ushort type, out ReadOnlySpan<byte> value, out int padded)
    {
        type = 0;
        value = default;
        padded = 0;
        if (attributes.Length < 4 || MemoryMarshal.Read<ushort>(attributes) is var length && (length < 4 || length > attributes.Length))
        {
            return false;
        }
        type = (ushort)(MemoryMarshal.Read<ushort>(attributes[2..]) & NetlinkConstants.NLA_TYPE_MASK);
        value = attributes[4..MemoryMarshal.Read<ushort>(attributes)];
        padded = Math.Min(attributes.Length, (value.Length + 4 + 3) & ~3);
        return true;
    }

    public static uint Host32(ReadOnlySpan<byte> value) => value.Length >= 4 ? MemoryMarshal.Read<uint>(value) : 0;

    public static uint Be32(ReadOnlySpan<byte> value) => value.Length >= 4 ? BinaryPrimitives.ReadUInt32BigEndian(value) : 0;

    public static ulong Be64(ReadOnlySpan<byte> value) => value.Length >= 8 ? BinaryPrimitives.ReadUInt64BigEndian(value) : 0;

    public static string Text(ReadOnlySpan<byte> value) => Encoding.UTF8.GetString(value.TrimEnd((byte)0));
}
