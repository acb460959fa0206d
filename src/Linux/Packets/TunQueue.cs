using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux.Packets;

/// <summary>
/// Reads and writes packets on one queue of a TUN device, each behind its <c>struct virtio_net_hdr</c>. For one reader and one writer thread.
/// </summary>
public sealed class TunQueue : IDisposable
{
    private const int F_SETFL = 4, O_NONBLOCK = 0x800, O_RDWR = 2;
    private readonly SafeFileHandle _handle;
    private readonly int _descriptor;

    public TunQueue(SafeFileHandle handle)
    {
        _handle = handle;
        _descriptor = (int)handle.DangerousGetHandle();
        Libc.Check(PacketCalls.FileControl(_descriptor, F_SETFL, O_RDWR | O_NONBLOCK), "fcntl(O_NONBLOCK)");
    }

    public SafeFileHandle Handle => _handle;

    /// <summary>One packet with its virtio header into a pinned array: its length, 0 where none waits, or a negative errno.</summary>
    public int Read(byte[] pinned, int offset, int length)
    {
        nint address = PinnedArray.AddressOf(pinned, offset, length);
        for (; ; )
        {
            nint count = PacketCalls.Read(_descriptor, address, (nuint)length);
            if (count >= 0)
            {
                return (int)count;
            }
            int errno = Marshal.GetLastSystemError();
            if (errno == Libc.EAGAIN)
            {
                return 0;
            }
            if (errno != Libc.EINTR)
            {
                return -errno;
            }
        }
    }

    /// <summary>One packet, gathered from parts that begin with the virtio header: 0, or the errno for which the kernel refused it.</summary>
    public unsafe int Write(GatherList parts)
    {
        for (; ; )
        {
            if (PacketCalls.WriteVectors(_descriptor, parts.Vectors, parts.Count) >= 0)
            {
                return 0;
            }
            int errno = Libc.LastErrno;
            if (errno != Libc.EINTR)
            {
                return errno;
            }
        }
    }

    public void Dispose() => _handle.Dispose();
}
