using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;

namespace Xfrmd.Attach;

/// <summary>Counts the sockets in each namespace, and tells the provider of the last one.</summary>
internal sealed class NamespaceTracker(INamespaceProvider provider)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<XfrmNamespace, int> _sockets = [];

    /// <summary>The state of the namespace behind a handle.</summary>
    public XfrmNamespace Find(SafeFileHandle handle)
    {
        ulong inode = ProcFile.ReadInode($"/proc/self/fd/{handle.DangerousGetHandle()}", "net"u8, out _);
        return provider.Open(inode, handle);
    }

    /// <summary>See <see cref="INamespaceProvider.TryReopen"/>.</summary>
    public bool TryReopen(XfrmNamespace space) => provider.TryReopen(space);

    public void SocketOpened(XfrmNamespace space)
    {
        lock (_gate)
        {
            _sockets[space] = _sockets.GetValueOrDefault(space) + 1;
        }
    }

    public void SocketClosed(XfrmNamespace space)
    {
        bool last;
        lock (_gate)
        {
            int left = _sockets[space] - 1;
            last = left == 0;
            if (last)
            {
                _sockets.Remove(space);
            }
            else
            {
                _sockets[space] = left;
            }
        }
        if (last)
        {
            provider.LastSocketClosed(space);
        }
    }

    /// <summary>A program tree that used the namespace has ended.</summary>
    public void SessionEnded(XfrmNamespace space)
    {
        bool any;
        lock (_gate)
        {
            any = _sockets.ContainsKey(space);
        }
        if (!any)
        {
            provider.LastSocketClosed(space);
        }
    }
}
