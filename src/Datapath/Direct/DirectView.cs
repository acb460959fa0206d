using Xfrmd.Kernel;
using Xfrmd.Linux.Routing;

namespace Xfrmd.Datapath.Direct;

/// <summary>
/// One worker's view of <see cref="DirectPaths"/>: it hears of changes itself, before it uses what was found before them. The notifications
/// of rtnetlink are looked at before each batch; the generation of nf_tables, a question of a microsecond, once in a millisecond, as
/// how many look at links.
/// </summary>
/// <param name="paths">Who looks at the network.</param>
/// <param name="watch">This worker's own; owned.</param>
public sealed class DirectView(DirectPaths paths, NetworkWatch watch) : IDisposable
{
    private static readonly TimeProvider Time = TimeProvider.System;
    private readonly long _millisecond = Time.TimestampFrequency / 1000;
    private int _needed;
    private long _generationAt = long.MinValue;
    private bool _isLooked;
    private DirectSnapshot? _current;
    private readonly byte[] _last = new byte[16];
    private int _lastLength;
    private DirectRoute? _lastRoute;
    private long _now;

    /// <summary>What has been found holds no longer: the next packet looks again.</summary>
    public void EndBatch() => _isLooked = false;

    /// <summary>Where the packets of this batch go that have this destination; null: through the raw socket.</summary>
    /// <param name="daddr">4 or 16 bytes.</param>
    public DirectRoute? Find(ReadOnlySpan<byte> daddr)
    {
        if (!_isLooked)
        {
            _isLooked = true;
            _lastLength = 0;
            _current = Look(out _now);
        }
        if (daddr.SequenceEqual(_last.AsSpan(0, _lastLength)))
        {
            return _lastRoute;
        }
        OuterAddress destination = new(new XfrmAddress(daddr), daddr.Length == 4 ? AddressFamily.Inet : AddressFamily.Inet6);
        DirectRoute? route = null;
        if (_current is null || !_current.Routes.TryGetValue(destination, out route))
        {
            paths.Want(destination);
        }
        _lastRoute = route is not null && !route.IsKernelsTurn(_now, _millisecond * 1000) ? route : null;
        _lastLength = daddr.Length;
        daddr.CopyTo(_last);
        return _lastRoute;
    }

    /// <summary>What was found turned out to be wrong.</summary>
    public void Distrust()
    {
        _needed = paths.Invalidate();
        (_current, _lastLength) = (null, 0);
    }

    /// <summary>The snapshot, where nothing has changed since it was made.</summary>
    public DirectSnapshot? Look(out long now)
    {
        DirectSnapshot snapshot = paths.Snapshot;
        now = Time.GetTimestamp();
        if (watch.TakeChanges(snapshot.Neighbours))
        {
            _needed = paths.Invalidate();
        }
        else if (snapshot.Covers >= _needed && (_generationAt == long.MinValue || now - _generationAt >= _millisecond))
        {
            _generationAt = now;
            if (watch.NetfilterGeneration() != snapshot.Generation || (snapshot.PacketSockets >= 0 && watch.PacketSockets() != snapshot.PacketSockets))
            {
                _needed = paths.Invalidate();
            }
        }
        return snapshot.Covers >= _needed ? snapshot : null;
    }

    public void Dispose() => watch.Dispose();
}
