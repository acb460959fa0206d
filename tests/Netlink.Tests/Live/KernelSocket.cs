using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Tests.Live;

/// <summary>A NETLINK_XFRM socket of the kernel that the tests run on, in the network namespace of the thread that made it.</summary>
internal sealed partial class KernelSocket : IDisposable
{
    private const int AfNetlink = 16, SockRaw = 3, NonBlocking = 0x800, CloseOnExec = 0x80000, NetlinkXfrm = 6, SolNetlink = 270, SolSocket = 1,
        ReceiveBufferForce = 33, NewNetworkNamespace = 0x40000000, TryAgain = 11, NoBufferSpace = 105;
    private const int MaxDatagram = 1 << 17;
    private readonly int _descriptor;
    private readonly byte[] _buffer = new byte[MaxDatagram];

    public KernelSocket()
    {
        _descriptor = Check(socket(AfNetlink, SockRaw | NonBlocking | CloseOnExec, NetlinkXfrm));
        byte[] address = new byte[12];
        address[0] = AfNetlink;
        Check(bind(_descriptor, address, address.Length));
        Set(SolSocket, ReceiveBufferForce, 8 << 20);
    }

    public void Dispose() => _ = close(_descriptor);

    /// <summary>Moves the calling thread into a network namespace of its own, for good.</summary>
    public static void LeaveNetworkNamespace() => Check(unshare(NewNetworkNamespace));

    public void Set(int option, int value) => Set(SolNetlink, option, value);

    public void Send(byte[] datagram) => Check(send(_descriptor, datagram, datagram.Length, 0));

    /// <summary>The next datagram; null where none waits.</summary>
    public byte[]? Receive()
    {
        nint length = recv(_descriptor, _buffer, _buffer.Length, 0);
        if (length >= 0)
        {
            return _buffer[..(int)length];
        }
        int errno = Marshal.GetLastPInvokeError();
        return errno == TryAgain ? null : throw new Win32Exception(errno, errno == NoBufferSpace ? "the test reads too slowly" : "recv");
    }

    private void Set(int level, int option, int value) => Check(setsockopt(_descriptor, level, option, value, sizeof(int)));

    private static int Check(nint result) => result >= 0 ? (int)result : throw new Win32Exception(Marshal.GetLastPInvokeError());

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int bind(int descriptor, byte[] address, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setsockopt(int descriptor, int level, int name, in int value, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(int descriptor, byte[] buffer, nint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recv(int descriptor, byte[] buffer, nint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unshare(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int descriptor);
}
