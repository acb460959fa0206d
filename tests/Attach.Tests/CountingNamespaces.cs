using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;

namespace Xfrmd.Attach.Tests;

/// <summary>One state per inode, and a record of which namespace lost its last socket.</summary>
public sealed class CountingNamespaces : INamespaceProvider
{
    private readonly ConcurrentDictionary<ulong, XfrmNamespace> _spaces = [];

    public Journal Released { get; } = new();

    /// <summary>A namespace ends with its last socket.</summary>
    public bool EndsDeserted { get; set; }

    public IReadOnlyCollection<XfrmNamespace> All => [.. _spaces.Values];

    public XfrmNamespace Open(ulong inode, SafeFileHandle handle)
    {
        Assert.False(handle.IsInvalid);
        Assert.NotEqual(0ul, inode);
        return _spaces.GetOrAdd(inode, i => new XfrmNamespace(i, TimeProvider.System));
    }

    public bool TryReopen(XfrmNamespace space) => _spaces.GetValueOrDefault(space.Inode) == space;

    public void LastSocketClosed(XfrmNamespace space)
    {
        if (EndsDeserted && _spaces.TryRemove(space.Inode, out _))
        {
            space.Dispose();
        }
        Released.Add(space.Inode.ToString());
    }
}
