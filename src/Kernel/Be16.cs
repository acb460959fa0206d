using System.Buffers.Binary;

namespace Xfrmd.Kernel;

/// <summary><c>__be16</c>: 16 bits that lie in memory in network byte order.</summary>
public readonly record struct Be16(ushort Raw)
{
    public ushort Value => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(Raw) : Raw;
    public static Be16 From(ushort host) => new(BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(host) : host);
}
