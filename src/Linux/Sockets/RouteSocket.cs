using Microsoft.Win32.SafeHandles;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Sockets;

/// <summary>A program's own NETLINK_ROUTE socket of the kernel beneath, made for it and used in its name.</summary>
public static class RouteSocket
{
    public const int Protocol = 0;   // NETLINK_ROUTE

    /// <summary>A socket in the calling thread's network namespace, or null where the kernel refuses the type.</summary>
    /// <param name="type">SOCK_RAW or SOCK_DGRAM, with SOCK_NONBLOCK where wanted.</param>
    public static SafeFileHandle? TryOpen(int type)
    {
        int fd = socket(AF_NETLINK, type | SOCK_CLOEXEC, Protocol);
        return fd < 0 ? null : new SafeFileHandle(fd, ownsHandle: true);
    }

    /// <summary>Sends one datagram to the kernel: 0, or the errno. The answer goes to whoever reads the socket.</summary>
    public static unsafe int Send(SafeFileHandle socket, ReadOnlySpan<byte> datagram)
    {
        fixed (byte* bytes = datagram)
        {
            return (long)send((int)socket.DangerousGetHandle(), bytes, datagram.Length, 0) < 0 ? Libc.LastErrno : 0;
        }
    }
}
