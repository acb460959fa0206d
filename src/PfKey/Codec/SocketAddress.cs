using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Codec;

/// <summary>An IPv4 or IPv6 <c>sockaddr</c> as messages carry it.</summary>
internal readonly record struct SocketAddress(ushort Family, XfrmAddress Address, Be16 Port)
{
    /// <summary><c>pfkey_sockaddr_len</c>; 0 for other families.</summary>
    public static int Length(ushort family) => family switch
    {
        AddressFamily.Inet => Unsafe.SizeOf<SockaddrIn>(),
        AddressFamily.Inet6 => Unsafe.SizeOf<SockaddrIn6>(),
        _ => 0,
    };

    /// <summary><c>pfkey_sockaddr_size</c>: in an extension of its own.</summary>
    public static int PaddedLength(ushort family) => ExtensionTable.Align(Length(family));

    /// <summary><c>pfkey_sockaddr_pair_size</c>: two back to back.</summary>
    public static int PairLength(ushort family) => ExtensionTable.Align(2 * Length(family));

    /// <summary>The prefix length of one address.</summary>
    public static byte FullPrefix(ushort family) => family switch { AddressFamily.Inet => 32, AddressFamily.Inet6 => 128, _ => 0 };

    /// <summary><c>pfkey_sockaddr_extract</c>.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out SocketAddress address)
    {
        address = default;
        if (!MemoryMarshal.TryRead(bytes, out ushort family))
        {
            return false;
        }
        if (family == AddressFamily.Inet && MemoryMarshal.TryRead(bytes, out SockaddrIn four))
        {
            address = new SocketAddress(family, new XfrmAddress(MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(ref four.Address))), four.Port);
            return true;
        }
        if (family == AddressFamily.Inet6 && MemoryMarshal.TryRead(bytes, out SockaddrIn6 six))
        {
            address = new SocketAddress(family, six.Address, six.Port);
            return true;
        }
        return false;
    }

    /// <summary><c>parse_sockaddr_pair</c>: two of one family, back to back.</summary>
    public static bool TryReadPair(ReadOnlySpan<byte> bytes, out SocketAddress first, out SocketAddress second)
    {
        second = default;
        return TryRead(bytes, out first) && bytes.Length >= PairLength(first.Family)
            && TryRead(bytes[Length(first.Family)..], out second) && second.Family == first.Family;
    }

    /// <summary><c>pfkey_sockaddr_fill</c>. Nothing for other families.</summary>
    public void WriteTo(Span<byte> bytes)
    {
        if (Family == AddressFamily.Inet)
        {
            MemoryMarshal.Write(bytes, new SockaddrIn { Family = Family, Port = Port, Address = Address.Raw4 });
        }
        else if (Family == AddressFamily.Inet6)
        {
            MemoryMarshal.Write(bytes, new SockaddrIn6 { Family = Family, Port = Port, Address = Address });
        }
    }
}
