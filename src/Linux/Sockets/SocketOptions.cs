using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Sockets;

/// <summary>Socket options and ioctls of any socket.</summary>
public static class SocketOptions
{
    private const int Siocoutq = 0x5411, Siocgskns = 0x894C;

    /// <summary>An integer option, or null where the socket has none such.</summary>
    public static unsafe int? TryGetInt(SafeFileHandle socket, int level, int name)
    {
        int value;
        socklen_t length = sizeof(int);
        return getsockopt((int)socket.DangerousGetHandle(), level, name, &value, &length) == 0 ? value : null;
    }

    public static unsafe bool TrySetInt(SafeFileHandle socket, int level, int name, int value) =>
        setsockopt((int)socket.DangerousGetHandle(), level, name, &value, sizeof(int)) == 0;

    public static unsafe bool TrySet(SafeFileHandle socket, int level, int name, ReadOnlySpan<byte> value)
    {
        fixed (byte* bytes = value)
        {
            return setsockopt((int)socket.DangerousGetHandle(), level, name, bytes, (uint)value.Length) == 0;
        }
    }

    /// <summary>SO_DOMAIN.</summary>
    public static int? Domain(SafeFileHandle socket) => TryGetInt(socket, SOL_SOCKET, SO_DOMAIN);

    /// <summary>SO_PROTOCOL.</summary>
    public static int? Protocol(SafeFileHandle socket) => TryGetInt(socket, SOL_SOCKET, SO_PROTOCOL);

    /// <summary>The size of the send queue as the kernel counts it (twice what was asked for).</summary>
    public static int SendBufferSize(SafeFileHandle socket) => TryGetInt(socket, SOL_SOCKET, SO_SNDBUF) ?? 0;

    /// <summary>SO_SNDBUFFORCE, or SO_SNDBUF up to the system's limit where we may not force it. The kernel doubles the value.</summary>
    public static void SetSendBuffer(SafeFileHandle socket, int size)
    {
        if (!TrySetInt(socket, SOL_SOCKET, SO_SNDBUFFORCE, size))
        {
            _ = TrySetInt(socket, SOL_SOCKET, SO_SNDBUF, size);
        }
    }

    /// <summary>SO_RCVTIMEO: a blocking receive ends with EAGAIN after this time.</summary>
    public static unsafe void SetReceiveTimeout(SafeFileHandle socket, TimeSpan timeout)
    {
        long* value = stackalloc long[] { (long)timeout.TotalSeconds, timeout.Milliseconds * 1000 };   // struct timeval
        Libc.Check(setsockopt((int)socket.DangerousGetHandle(), SOL_SOCKET, SO_RCVTIMEO, value, 2 * sizeof(long)), "SO_RCVTIMEO");
    }

    /// <summary>The same; null: for ever.</summary>
    public static unsafe TimeSpan? ReceiveTimeout(SafeFileHandle socket)
    {
        long* value = stackalloc long[2];
        socklen_t length = 2 * sizeof(long);
        return getsockopt((int)socket.DangerousGetHandle(), SOL_SOCKET, SO_RCVTIMEO, value, &length) == 0 && (value[0] | value[1]) != 0
            ? TimeSpan.FromSeconds(value[0]) + TimeSpan.FromMicroseconds(value[1])
            : null;
    }

    /// <summary>O_NONBLOCK.</summary>
    public static bool IsNonBlocking(SafeFileHandle socket) => (fcntl((int)socket.DangerousGetHandle(), F_GETFL) & O_NONBLOCK) != 0;

    /// <summary>
    /// SIOCOUTQ: memory of what was sent and not yet read by the other end. While a reader is just freeing a datagram, the kernel still holds one byte of
    /// it (<c>sock_wfree</c>), and wakes us at that moment; every datagram counts a multiple of 16.
    /// </summary>
    public static unsafe int UnreadBytes(SafeFileHandle socket)
    {
        int value;
        return ioctl((int)socket.DangerousGetHandle(), Siocoutq, &value) == 0 ? value & ~15 : 0;
    }

    /// <summary>SIOCGSKNS: the network namespace that the socket belongs to. Null without CAP_NET_ADMIN over it.</summary>
    public static SafeFileHandle? TryGetNamespace(SafeFileHandle socket)
    {
        int fd = ioctl((int)socket.DangerousGetHandle(), Siocgskns);
        return fd < 0 ? null : new SafeFileHandle(fd, ownsHandle: true);
    }
}
