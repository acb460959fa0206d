using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using Xfrmd.Linux.Sockets;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Packets;

/// <summary>
/// Asks routing about a destination by connecting a UDP socket to it, which sends nothing: the source address that would be chosen and the
/// MTU of the path, with what ICMP has taught. Made in a network namespace, it answers for that one from any thread.
/// </summary>
public sealed class RouteQuery : IDisposable
{
    private const int IPPROTO_IP = 0, IPPROTO_IPV6 = 41, IPPROTO_UDP = 17, IP_MTU = 14, IPV6_MTU = 24, PMTUDISC_DO = 2;
    private const int EAFNOSUPPORT = 97;
    private const ushort DiscardPort = 9;
    private readonly Lock _gate = new();
    private readonly RouteClient _routes = new();
    private readonly SafeFileHandle _v4 = Open(SocketAddresses.AF_INET)!;
    private readonly SafeFileHandle? _v6 = Open(SocketAddresses.AF_INET6);

    /// <summary>False where there is no route.</summary>
    /// <param name="destination">4 or 16 bytes.</param>
    /// <param name="mark">The mark that routing looks at.</param>
    /// <param name="source">Receives as many bytes as the destination has.</param>
    /// <param name="mtu">The path's MTU.</param>
    public bool TryFind(ReadOnlySpan<byte> destination, uint mark, Span<byte> source, out int mtu)
    {
        mtu = 0;
        bool v4 = destination.Length == 4;
        SafeFileHandle? socket = v4 ? _v4 : _v6;
        if (socket is null)
        {
            return false;
        }
        Span<byte> address = stackalloc byte[SocketAddresses.MaxSize];
        lock (_gate)
        {
            // A socket would take :: for ::1; for a route it is an address like any other.
            if (!v4 && !destination.ContainsAnyExcept((byte)0) && _routes.OutputInterface(destination, mark) == 0)
            {
                return false;
            }
            // Disconnect first: a source that was chosen before would stay.
            address.Clear();
            _ = TryConnect(socket, address);
            if (!PacketSockets.TrySetMark(socket, mark) || !TryConnect(socket, address[..SocketAddresses.Write(address, destination, DiscardPort)]))
            {
                return false;
            }
            mtu = SocketOptions.TryGetInt(socket, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU) ?? 0;
            int length = PacketSockets.LocalAddress(socket, address);
            if (!SocketAddresses.TryRead(address[..length], out ReadOnlySpan<byte> local, out _) || local.Length != destination.Length)
            {
                return false;
            }
            local.CopyTo(source);
            return true;
        }
    }

    /// <summary>The interface that a packet with this mark would leave by; 0 where there is no route.</summary>
    /// <param name="destination">4 or 16 bytes.</param>
    public int OutputInterface(ReadOnlySpan<byte> destination, uint mark)
    {
        lock (_gate)
        {
            return _routes.OutputInterface(destination, mark);
        }
    }

    public void Dispose()
    {
        _routes.Dispose();
        _v4.Dispose();
        _v6?.Dispose();
    }

    private static SafeFileHandle? Open(ushort family)
    {
        int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
        if (descriptor < 0 && family == SocketAddresses.AF_INET6 && Libc.LastErrno == EAFNOSUPPORT)
        {
            return null;
        }
        SafeFileHandle handle = new(Libc.Check(descriptor, "socket"), ownsHandle: true);
        PacketSockets.SetPathMtuDiscovery(handle, family, PMTUDISC_DO);
        return handle;
    }

    private static unsafe bool TryConnect(SafeFileHandle socket, ReadOnlySpan<byte> address)
    {
        fixed (byte* bytes = address)
        {
            return connect((int)socket.DangerousGetHandle(), (sockaddr*)bytes, (uint)address.Length) == 0;
        }
    }
}
