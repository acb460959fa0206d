using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
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

    /// <summary>Receives one datagram, never blocking: its full length, or minus the errno.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="buffer">Takes it as far as it fits.</param>
    /// <param name="received">Takes what comes with it.</param>
    /// <param name="peeks">MSG_PEEK: it stays.</param>
    public static unsafe int Receive(SafeFileHandle socket, Span<byte> buffer, RouteReceive received, bool peeks)
    {
        fixed (byte* bytes = buffer, name = received.Name, control = received.Control)
        {
            iovec vector = new() { iov_base = bytes, iov_len = buffer.Length };
            msghdr header = new() { msg_iov = &vector, msg_iovlen = 1, msg_name = name, msg_namelen = RouteReceive.NameSize, msg_control = control, msg_controllen = received.Control.Length };
            for (; ; )
            {
                long length = (long)recvmsg((int)socket.DangerousGetHandle(), &header, MSG_DONTWAIT | MSG_TRUNC | (peeks ? MSG_PEEK : 0));
                if (length >= 0)
                {
                    (received.ControlLength, received.Flags) = ((int)header.msg_controllen, header.msg_flags);
                    return (int)length;
                }
                if (Libc.LastErrno != Libc.EINTR)
                {
                    return -Libc.LastErrno;
                }
            }
        }
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
