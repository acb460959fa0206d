namespace Xfrmd.Datapath.Capture;

/// <summary>One person's view of all packets of a namespace; a ring for each worker. Read by one thread; dispose to end it.</summary>
public sealed class PacketCapture : IDisposable
{
    private const int Packets = 8192, Bytes = 8 * 1024 * 1024;

    /// <summary>A packet is committed well within this after its time stamp: then rings can be merged in order.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromMilliseconds(2);
    private readonly CaptureHub _hub;
    private readonly TimeProvider _time;
    private readonly int _snapLength;
    private volatile CaptureRing[] _rings = [];

    internal PacketCapture(CaptureHub hub, TimeProvider time, int snapLength) => (_hub, _time, _snapLength) = (hub, time, snapLength);

    /// <summary>Called with each packet; its bytes are valid within the call only.</summary>
    public delegate void Visitor(in CapturedPacket packet, ReadOnlySpan<byte> bytes);

    /// <summary>Packets that found no room.</summary>
    public long Lost => _rings.Sum(ring => ring.Lost);

    /// <summary>Shows what has come since, in the order of time.</summary>
    /// <param name="visit">Called with each packet.</param>
    /// <param name="all">Those of the last moments too, which others may still have to be put before.</param>
    public void Drain(Visitor visit, bool all = false)
    {
        long until = all ? long.MaxValue : (_time.GetUtcNow() - Settled).UtcTicks;
        CaptureRing[] rings = _rings;
        long[] limits = [.. rings.Select(ring => ring.Committed)];
        for (; ; )
        {
            CaptureRing? oldest = null;
            long ticks = until;
            for (int i = 0; i < rings.Length; i++)
            {
                if (rings[i].Consumed < limits[i] && rings[i].TryPeek(out CapturedPacket next, out _) && next.Ticks < ticks)
                {
                    (oldest, ticks) = (rings[i], next.Ticks);
                }
            }
            if (oldest is null || !oldest.TryPeek(out CapturedPacket packet, out ReadOnlySpan<byte> bytes))
            {
                return;
            }
            visit(packet, bytes);
            oldest.Release();
        }
    }

    public void Dispose() => _hub.End(this);

    internal void Join(CaptureTap tap)
    {
        CaptureRing ring = new(Packets, Bytes, _snapLength);
        _rings = [.. _rings, ring];
        tap.Attach(ring);
    }

    internal void Leave(CaptureTap tap)
    {
        foreach (CaptureRing ring in _rings)
        {
            tap.Detach(ring);
        }
    }
}
