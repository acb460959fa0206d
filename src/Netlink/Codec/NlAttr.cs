using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Codec;

/// <summary>One attribute of a message: <c>struct nlattr</c> with its payload. Type and length are those of the header.</summary>
internal readonly ref struct NlAttr
{
    /// <summary><c>NLA_HDRLEN</c>.</summary>
    public const int HeaderSize = 4;

    private const ushort Nested = 0x8000, NetByteOrder = 0x4000;

    public NlAttr(ushort rawType, int offset, ReadOnlySpan<byte> data)
    {
        RawType = rawType;
        Offset = offset;
        Data = data;
    }

    private ushort RawType { get; }

    /// <summary><c>nla_type</c>: without the flag bits.</summary>
    public ushort Type => (ushort)(RawType & ~(Nested | NetByteOrder));

    public bool IsNested => (RawType & Nested) != 0;

    /// <summary>Where the attribute's header begins in what was read.</summary>
    public int Offset { get; }

    public ReadOnlySpan<byte> Data { get; }

    /// <summary><c>NLA_ALIGN</c>, <c>NLMSG_ALIGN</c>.</summary>
    public static int Align(int length) => (length + 3) & ~3;

    /// <summary>Reads the payload's first bytes; false where it is shorter.</summary>
    public bool TryRead<T>(out T value) where T : unmanaged => MemoryMarshal.TryRead(Data, out value);
}
