using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Routing;

/// <summary>An entry of the neighbour tables: an address on a link.</summary>
/// <param name="Ifindex">The link.</param>
/// <param name="Address">Its bytes, the last twelve 0 for IPv4.</param>
/// <param name="IsIpv6">Its family.</param>
public readonly record struct NeighbourKey(int Ifindex, UInt128 Address, bool IsIpv6)
{
    public static NeighbourKey Of(int ifindex, ReadOnlySpan<byte> address)
    {
        Span<byte> all = stackalloc byte[16];
        all.Clear();
        address.CopyTo(all);
        return new NeighbourKey(ifindex, MemoryMarshal.Read<UInt128>(all), address.Length == 16);
    }

    /// <summary>The address in network order.</summary>
    public byte[] Bytes()
    {
        byte[] all = new byte[16];
        UInt128 address = Address;
        MemoryMarshal.Write(all, in address);
        return IsIpv6 ? all : all[..4];
    }
}
