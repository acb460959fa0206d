using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Sockets;

/// <summary>A netlink socket that sends to itself, by which one sees what memory the kernel counts for a datagram on such a queue.</summary>
public sealed class NetlinkLoop : IDisposable
{
    private const int NETLINK_USERSOCK = 2;
    private const uint Family = 16;   // AF_NETLINK
    private const int SO_MEMINFO = 55, SK_MEMINFO_VARS = 9;
    private readonly SafeFileHandle _socket;

    private NetlinkLoop(SafeFileHandle socket) => _socket = socket;

    /// <summary>Null where the machine lets us have none.</summary>
    public static unsafe NetlinkLoop? TryOpen()
    {
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_USERSOCK);
        if (fd < 0)
        {
            return null;
        }
        SafeFileHandle handle = new(fd, ownsHandle: true);
        uint* address = stackalloc uint[] { Family, 0, 0 };   // struct sockaddr_nl: family, port, groups
        socklen_t length = 3 * sizeof(uint);
        if (bind(fd, (sockaddr*)address, length) == 0 && getsockname(fd, (sockaddr*)address, &length) == 0 && connect(fd, (sockaddr*)address, length) == 0)
        {
            return new NetlinkLoop(handle);
        }
        handle.Dispose();
        return null;
    }

    /// <summary><c>skb->truesize</c> of a datagram; 0: it did not get through.</summary>
    /// <param name="length">Its length, bytes.</param>
    public unsafe int Measure(int length)
    {
        int fd = (int)_socket.DangerousGetHandle();
        byte[] datagram = new byte[length];
        uint* memory = stackalloc uint[SK_MEMINFO_VARS];
        socklen_t size = SK_MEMINFO_VARS * sizeof(uint);
        fixed (byte* bytes = datagram)
        {
            if (send(fd, bytes, length, 0) < 0)
            {
                return 0;
            }
            bool known = getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0;
            _ = recv(fd, bytes, length, 0);
            return known ? (int)memory[0] : 0;   // SK_MEMINFO_RMEM_ALLOC
        }
    }

    public void Dispose() => _socket.Dispose();
}
