using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

/// <summary>A program's own socket, of the kernel beneath, as far as we may look at it.</summary>
internal sealed class OrdinarySocket : IDisposable
{
    private readonly SafeFileHandle _network;
    private SafeFileHandle? _file;

    private OrdinarySocket(SafeFileHandle network) => _network = network;

    public required ulong Inode { get; init; }

    /// <summary>The namespace that the socket belongs to; where we may not ask the socket, the one that the thread is in.</summary>
    public required XfrmNamespace Space { get; init; }

    /// <summary>A duplicate, or null where pidfd_getfd(2) is forbidden.</summary>
    public SafeFileHandle? File => _file;

    /// <summary>SO_DOMAIN, 0 where unknown.</summary>
    public int Domain => _file is null ? 0 : SocketOptions.Domain(_file) ?? 0;

    /// <summary>SO_PROTOCOL, 0 where unknown.</summary>
    public int Protocol => _file is null ? 0 : SocketOptions.Protocol(_file) ?? 0;

    /// <summary>Whether the thread has a capability over the socket's namespace.</summary>
    public bool Allows(int tid, int capability) => ProcStatus.TryRead(tid, out ProcStatus status) && UserNamespaces.Of(_network).Allow(tid, status, capability);

    /// <summary>Null where the descriptor is no socket.</summary>
    public static OrdinarySocket? TryOpen(uint thread, int descriptor, NamespaceTracker namespaces)
    {
        int tid = (int)thread;
        ulong inode = ProcFile.ReadInode(string.Create(CultureInfo.InvariantCulture, $"/proc/{tid}/fd/{descriptor}"), "socket"u8, out _);
        if (inode == 0 || !ProcStatus.TryRead(tid, out ProcStatus status))
        {
            return null;
        }
        SafeFileHandle? file = PidFd.TryDuplicate(tid, status.Tgid, descriptor, out _);
        SafeFileHandle? network = (file is null ? null : SocketOptions.TryGetNamespace(file))
            ?? ProcFile.TryOpen(string.Create(CultureInfo.InvariantCulture, $"/proc/{tid}/ns/net"));
        if (network is null)
        {
            file?.Dispose();
            return null;
        }
        return new OrdinarySocket(network) { Inode = inode, Space = namespaces.Find(network), _file = file };
    }

    /// <summary>The duplicate, which is the caller's from now on.</summary>
    public SafeFileHandle? TakeFile()
    {
        SafeFileHandle? file = _file;
        _file = null;
        return file;
    }

    public void Dispose()
    {
        _file?.Dispose();
        _network.Dispose();
    }
}
