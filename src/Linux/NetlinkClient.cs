using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux;

/// <summary>
/// A client's netlink socket towards the kernel beneath (routes, netfilter). It belongs to the network namespace of the thread that makes
/// it. The kernel works a request off before send(2) returns, so nothing here ever waits. Not thread-safe: its owner orders the calls.
/// </summary>
public sealed partial class NetlinkClient : IDisposable
{
    private const int AF_NETLINK = 16, SOCK_RAW = 3, SOCK_CLOEXEC = 0x80000;
    private const int SOL_SOCKET = 1, SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33;
    private const int MSG_DONTWAIT = 0x40, MSG_TRUNC = 0x20;
    private const int EINTR = 4, EAGAIN = 11, ENOBUFS = 105;
    private readonly SafeFileHandle _socket;
    private byte[] _receive = new byte[1 << 16];
    private int _sendBuffer = 1 << 20;

    public NetlinkClient(int protocol)
    {
        int fd = Socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
        if (fd < 0)
        {
            throw new LinuxException(Marshal.GetLastPInvokeError(), "socket(AF_NETLINK)");
        }
        _socket = new SafeFileHandle(fd, ownsHandle: true);
        int receiveBuffer = 1 << 23;
        _ = SetSockOpt(_socket, SOL_SOCKET, SO_RCVBUFFORCE, receiveBuffer, sizeof(int));
        _ = SetSockOpt(_socket, SOL_SOCKET, SO_SNDBUFFORCE, _sendBuffer, sizeof(int));
    }

    /// <summary>
    /// Sends the requests as one datagram and hands every reply to <paramref name="onReply"/>. Returns the first error number that the
    /// kernel gave to any of them, or 0.
    /// </summary>
    public int Exchange(ReadOnlySpan<byte> requests, NetlinkReplyHandler? onReply = null)
    {
        if (requests.Length > _sendBuffer / 2)
        {
            _sendBuffer = requests.Length * 2;
            _ = SetSockOpt(_socket, SOL_SOCKET, SO_SNDBUFFORCE, _sendBuffer, sizeof(int));
        }
        while (Send(_socket, requests, requests.Length, 0) < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno != EINTR)
            {
                throw new LinuxException(errno, "send(netlink)");
            }
        }
        return Receive(onReply);
    }

    /// <summary>Hands over what the kernel has sent, asked or not. Returns the first error number among it (ENOBUFS: some was lost), or 0.</summary>
    public int Receive(NetlinkReplyHandler? onReply)
    {
        int error = 0;
        while (TryReceive(out int length, ref error))
        {
            Deliver(_receive.AsSpan(0, length), onReply, ref error);
        }
        return error;
    }

    public void Dispose() => _socket.Dispose();

    private bool TryReceive(out int length, ref int error)
    {
        for (; ; )
        {
            length = (int)Recv(_socket, _receive, _receive.Length, MSG_DONTWAIT | MSG_TRUNC);
            if (length > _receive.Length)
            {
                _receive = new byte[length];   // cut short: what was lost is an error, the next one fits
                error = error == 0 ? ENOBUFS : error;
                continue;
            }
            if (length >= 0)
            {
                return true;
            }
            switch (Marshal.GetLastPInvokeError())
            {
                case EINTR:
                    continue;
                case EAGAIN:
                    return false;
                case ENOBUFS:
                    error = error == 0 ? ENOBUFS : error;
                    continue;
                case int errno:
                    throw new LinuxException(errno, "recv(netlink)");
            }
        }
    }

    private static void Deliver(ReadOnlySpan<byte> datagram, NetlinkReplyHandler? onReply, ref int error)
    {
        while (datagram.Length >= 16)
        {
            int length = MemoryMarshal.Read<int>(datagram);
            if (length < 16 || length > datagram.Length)
            {
                return;
            }
            ushort type = MemoryMarshal.Read<ushort>(datagram[4..]);
            ReadOnlySpan<byte> body = datagram[16..length];
            if (type is NetlinkConstants.NLMSG_ERROR or NetlinkConstants.NLMSG_DONE)
            {
                int errno = body.Length >= 4 ? -MemoryMarshal.Read<int>(body) : 0;
                error = error == 0 && errno > 0 ? errno : error;
            }
            else
            {
                onReply?.Invoke(new NetlinkReply(type, MemoryMarshal.Read<uint>(datagram[8..]), body));
            }
            datagram = datagram[Math.Min(datagram.Length, (length + 3) & ~3)..];
        }
    }

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int Socket(int domain, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static partial int SetSockOpt(SafeFileHandle socket, int level, int name, in int value, int length);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint Send(SafeFileHandle socket, ReadOnlySpan<byte> buffer, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint Recv(SafeFileHandle socket, Span<byte> buffer, nint length, int flags);
}
