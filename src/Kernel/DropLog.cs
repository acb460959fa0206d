namespace Xfrmd.Kernel;

/// <summary>
/// Tells people who watch which packets are lost. While nobody watches a drop costs one read; while somebody does, drops that come faster
/// than they are read are left out and counted.
/// </summary>
public sealed class DropLog
{
    private readonly Lock _lock = new();
    private volatile DropWatch[]? _watches;
    private Func<IDropSource>? _beneath;
    private IDropSource? _source;

    /// <summary>Any worker.</summary>
    public void Record(XfrmCounter? counter, in Flow flow, Be32 spi = default, int packets = 1)
    {
        if (_watches is not null)
        {
            Tell(new DroppedPacket(counter, flow, spi, packets));
        }
    }

    /// <summary>Begins to watch; dispose what is returned to stop.</summary>
    public DropWatch Watch()
    {
        DropWatch watch = new(this);
        lock (_lock)
        {
            _watches = [.. _watches ?? [], watch];
            OpenBeneath();
        }
        return watch;
    }

    /// <summary>Opens what tells of packets that are dropped before they come here; null: there is no such thing any more.</summary>
    public void SetBeneath(Func<IDropSource>? beneath)
    {
        lock (_lock)
        {
            CloseBeneath();
            _beneath = beneath;
            OpenBeneath();
        }
    }

    /// <summary>Lets those who watch see what was dropped beneath until now. Returns why that cannot be told; null where it can.</summary>
    public string? CollectBeneath()
    {
        lock (_lock)
        {
            _source?.Drain(Tell);
            return _source?.Obstacle;
        }
    }

    internal void End(DropWatch watch)
    {
        lock (_lock)
        {
            DropWatch[] left = [.. (_watches ?? []).Where(w => w != watch)];
            _watches = left.Length == 0 ? null : left;
            if (left.Length == 0)
            {
                CloseBeneath();
            }
        }
    }

    private void Tell(DroppedPacket dropped)
    {
        foreach (DropWatch watch in _watches ?? [])
        {
            watch.Add(dropped);
        }
    }

    private void OpenBeneath() => _source ??= _watches is null ? null : _beneath?.Invoke();

    private void CloseBeneath()
    {
        _source?.Dispose();
        _source = null;
    }
}
