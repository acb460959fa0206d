using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Xfrmd.Kernel;

namespace Xfrmd.Attach;

/// <summary>The interfaces of kind xfrm that programs have made, by namespace and index. Any thread may ask.</summary>
internal sealed class XfrmLinks
{
    private readonly ConditionalWeakTable<XfrmNamespace, ConcurrentDictionary<int, XfrmLink>> _spaces = [];
    private volatile bool _any;

    /// <summary>Whether there has been one at all: most daemons never see one.</summary>
    public bool Any => _any;

    public void Add(XfrmNamespace space, int index, in XfrmLink link)
    {
        _spaces.GetOrCreateValue(space)[index] = link;
        _any = true;
    }

    /// <param name="space">Where.</param>
    /// <param name="index">0: the name tells.</param>
    /// <param name="name">The name.</param>
    public void Remove(XfrmNamespace space, int index, string name)
    {
        if (!_spaces.TryGetValue(space, out ConcurrentDictionary<int, XfrmLink>? links))
        {
            return;
        }
        foreach ((int present, XfrmLink link) in links)
        {
            if (index == 0 ? link.Name == name : present == index)
            {
                _ = links.TryRemove(present, out _);
            }
        }
    }

    public XfrmLink? Find(XfrmNamespace space, int index) =>
        _spaces.TryGetValue(space, out ConcurrentDictionary<int, XfrmLink>? links) && links.TryGetValue(index, out XfrmLink link) ? link : null;
}
