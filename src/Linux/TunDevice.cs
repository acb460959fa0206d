using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux;

/// <summary>
/// A TUN device that lives as long as this object: no addresses, no packet information, a virtio header of ten bytes before each packet
/// (IFF_VNET_HDR). Made, down, in the network namespace of the calling thread; reading and writing its queues is the caller's business.
/// </summary>
public sealed partial class TunDevice : IDisposable
{
    /// <summary><c>struct virtio_net_hdr</c>, which stands before every packet.</summary>
    public const int VnetHeaderSize = 10;

    private const short IFF_TUN = 0x0001, IFF_MULTI_QUEUE = 0x0100, IFF_NO_PI = 0x1000, IFF_VNET_HDR = 0x4000;
    private const int EBUSY = 16, MaxIndexTries = 1024;
    private const uint TUNSETIFINDEX = 0x400454DA, TUNSETIFF = 0x400454CA, TUNSETOFFLOAD = 0x400454D0, TUNSETVNETHDRSZ = 0x400454D8;
    private const int IfreqSize = 40, IfNameSize = 16;
    private const int O_RDWR = 2, O_CLOEXEC = 0x80000;
    private readonly SafeFileHandle[] _queues;

    private TunDevice(string name, int ifindex, TunOffloads offloads, SafeFileHandle[] queues) =>
        (Name, Ifindex, Offloads, _queues) = (name, ifindex, offloads, queues);

    public string Name { get; private set; }

    public int Ifindex { get; }

    /// <summary>What the kernel granted.</summary>
    public TunOffloads Offloads { get; }

    public IReadOnlyList<SafeFileHandle> Queues => _queues;

    public static TunDevice Create(TunOptions options, RouteClient routes)
    {
        List<SafeFileHandle> queues = [];
        try
        {
            string name = options.Name;
            short flags = (short)(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | (options.Queues > 1 ? IFF_MULTI_QUEUE : 0));
            TunOffloads granted = options.Offloads;
            for (int i = 0; i < options.Queues; i++)
            {
                SafeFileHandle queue = OpenClone();
                queues.Add(queue);
                name = i == 0 && options.FirstIndex > 0 ? AttachFrom(queue, name, flags, options.FirstIndex) : Attach(queue, name, flags);
                int size = VnetHeaderSize;
                Check(IoctlPointer(queue, TUNSETVNETHDRSZ, ref size), "ioctl(TUNSETVNETHDRSZ)");
                granted = SetOffloads(queue, granted);
            }
            int ifindex = routes.FindLink(name) ?? throw new LinuxException(19, "find " + name);
            routes.ConfigureTun(ifindex, options.Mtu, options.TransmitQueueLength);
            return new TunDevice(name, ifindex, granted, [.. queues]);
        }
        catch
        {
            queues.ForEach(q => q.Dispose());
            throw;
        }
    }

    /// <summary>Gives it another name; it is down afterwards. 0, or the kernel's errno.</summary>
    public int Rename(string name, RouteClient routes)
    {
        int errno = routes.Rename(Ifindex, name);
        Name = errno == 0 ? name : Name;
        return errno;
    }

    public void Dispose()
    {
        foreach (SafeFileHandle queue in _queues)
        {
            queue.Dispose();
        }
    }

    private static SafeFileHandle OpenClone()
    {
        int fd = OpenCore("/dev/net/tun", O_RDWR | O_CLOEXEC);
        return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw new LinuxException(Marshal.GetLastPInvokeError(), "open /dev/net/tun");
    }

    /// <summary>Attaches under the first free index. A name that is taken is EBUSY too: it stays so without an index.</summary>
    private static string AttachFrom(SafeFileHandle queue, string name, short flags, int index)
    {
        for (int tries = 0; tries < MaxIndexTries; tries++)
        {
            int wanted = index + tries;
            Check(IoctlPointer(queue, TUNSETIFINDEX, ref wanted), "ioctl(TUNSETIFINDEX)");
            try
            {
                return Attach(queue, name, flags);
            }
            catch (LinuxException e) when (e.Errno == EBUSY)
            {
            }
        }
        int any = 0;
        Check(IoctlPointer(queue, TUNSETIFINDEX, ref any), "ioctl(TUNSETIFINDEX)");
        return Attach(queue, name, flags);
    }

    private static string Attach(SafeFileHandle queue, string name, short flags)
    {
        Span<byte> request = stackalloc byte[IfreqSize];
        request.Clear();
        if (Encoding.ASCII.GetByteCount(name) >= IfNameSize)
        {
            throw new LinuxException(22, "interface name " + name);
        }
        Encoding.ASCII.GetBytes(name, request);
        MemoryMarshal.Write(request[IfNameSize..], flags);
        Check(IoctlBytes(queue, TUNSETIFF, request), "ioctl(TUNSETIFF) " + name);
        return Encoding.ASCII.GetString(request[..IfNameSize].TrimEnd((byte)0));
    }

    /// <summary>USO came with Linux 6.2: a kernel that refuses it is asked for TCP alone, then for nothing.</summary>
    private static TunOffloads SetOffloads(SafeFileHandle queue, TunOffloads wanted)
    {
        foreach (TunOffloads attempt in (ReadOnlySpan<TunOffloads>)[wanted, wanted & TunOffloads.Tcp, wanted & TunOffloads.Checksum])
        {
            if (IoctlValue(queue, TUNSETOFFLOAD, (nint)(uint)attempt) == 0)
            {
                return attempt;
            }
        }
        return TunOffloads.None;
    }

    private static void Check(int result, string call)
    {
        if (result != 0)
        {
            throw new LinuxException(Marshal.GetLastPInvokeError(), call);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenCore(string path, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoctlBytes(SafeFileHandle fd, nuint request, Span<byte> argument);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoctlPointer(SafeFileHandle fd, nuint request, ref int argument);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoctlValue(SafeFileHandle fd, nuint request, nint argument);
}
