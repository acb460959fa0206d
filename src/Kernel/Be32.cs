using System.Buffers.Binary;

namespace Xfrmd.Kernel;

/// <summary><c>__be32</c>: 32 bits that lie in memory in network byte order.</summary>
public readonly record struct Be32(uint Raw)
{
    public uint Value => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(Raw) : Raw;
    public static Be32 From(uint host) => new(BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(host) : host);
}
