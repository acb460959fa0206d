using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Packets;

/// <summary><c>struct sockaddr_in</c> and <c>struct sockaddr_in6</c> as bytes.</summary>
public static class SocketAddresses
{
    public const int V4Size = 16, V6Size = 28, MaxSize = 28;
    public const ushort AF_INET = 2, AF_INET6 = 10;
    private const int PortOffset = 2, V4AddressOffset = 4, V6AddressOffset = 8;

    /// <summary>Writes one; its length follows from that of the address (4 or 16 bytes, network order).</summary>
    public static int Write(Span<byte> destination, ReadOnlySpan<byte> address, ushort port)
    {
        bool v4 = address.Length == 4;
        int size = v4 ? V4Size : V6Size;
        destination[..size].Clear();
        ushort family = v4 ? AF_INET : AF_INET6;
        MemoryMarshal.Write(destination, in family);
        BinaryPrimitives.WriteUInt16BigEndian(destination[PortOffset..], port);
        address.CopyTo(destination[(v4 ? V4AddressOffset : V6AddressOffset)..]);
        return size;
    }

    /// <summary>The address (4 or 16 bytes) and port of one; false where it is neither.</summary>
    public static bool TryRead(ReadOnlySpan<byte> socketAddress, out ReadOnlySpan<byte> address, out ushort port)
    {
        address = default;
        port = 0;
        if (socketAddress.Length < V4Size)
        {
            return false;
        }
        ushort family = MemoryMarshal.Read<ushort>(socketAddress);
        port = BinaryPrimitives.ReadUInt16BigEndian(socketAddress[PortOffset..]);
        if (family == AF_INET)
        {
            address = socketAddress.Slice(V4AddressOffset, 4);
            return true;
        }
        if (family == AF_INET6 && socketAddress.Length >= V6Size)
        {
            address = socketAddress.Slice(V6AddressOffset, 16);
            return true;
        }
        return false;
    }
}
