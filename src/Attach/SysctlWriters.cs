namespace Xfrmd.Attach;

/// <summary>All files of net.core.xfrm_* that programs have open for writing.</summary>
internal sealed class SysctlWriters : IDisposable
{
    private const int Limit = 1024;
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, SysctlWriter> _open = [];
    private volatile int _count;

    /// <summary>False: too many are open.</summary>
    public bool TryAdd(SysctlWriter writer)
    {
        TakeAll();
        lock (_gate)
        {
            if (_open.Count >= Limit)
            {
                return false;
            }
            _open[writer.Inode] = writer;
            _count = _open.Count;
            return true;
        }
    }

    public SysctlWriter? Find(ulong inode)
    {
        if (_count == 0)
        {
            return null;
        }
        lock (_gate)
        {
            return _open.GetValueOrDefault(inode);
        }
    }

    /// <summary>Takes what was written and not yet seen, and forgets those that were closed. Cheap where none is open.</summary>
    public void TakeAll()
    {
        if (_count == 0)
        {
            return;
        }
        lock (_gate)
        {
            foreach (SysctlWriter writer in _open.Values)
            {
                if (!writer.Take())
                {
                    writer.Dispose();
                    _open.Remove(writer.Inode);
                }
            }
            _count = _open.Count;
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            foreach (SysctlWriter writer in _open.Values)
            {
                writer.Dispose();
            }
            _open.Clear();
        }
    }
}
