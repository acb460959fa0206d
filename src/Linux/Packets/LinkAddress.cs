using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Packets;

/// <summary><c>struct sockaddr_ll</c> as bytes: an interface, the protocol of a packet, and the station that it goes to.</summary>
public static class LinkAddress
{
    public const int Size = 20, StationLength = 6;
    public const ushort ProtocolIpv4 = 0x0800, ProtocolIpv6 = 0x86DD;
    private const ushort AF_PACKET = 17;
    private const int ProtocolOffset = 2, InterfaceOffset = 4, LengthOffset = 11, StationOffset = 12;

    /// <summary>Writes one; the station may be empty.</summary>
    public static void Write(Span<byte> destination, ushort protocol, int ifindex, ReadOnlySpan<byte> station)
    {
        destination[..Size].Clear();
        MemoryMarshal.Write(destination, AF_PACKET);
        BinaryPrimitives.WriteUInt16BigEndian(destination[ProtocolOffset..], protocol);
        MemoryMarshal.Write(destination[InterfaceOffset..], ifindex);
        destination[LengthOffset] = (byte)station.Length;
        station.CopyTo(destination[StationOffset..]);
    }
}
