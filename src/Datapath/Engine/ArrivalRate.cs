namespace Xfrmd.Datapath.Engine;

/// <summary>
/// Tells a worker that packets come fast: it then lets some gather before it looks again, and is woken by none. A packet that comes alone is
/// taken at once, as before. One per worker.
/// </summary>
internal sealed class ArrivalRate
{
    /// <summary>How long packets gather: at the rate from which on it is done, one or two of them.</summary>
    public const int PauseMicroseconds = 50;

    private const int BusyPerMillisecond = 32;
    private static readonly TimeProvider Time = TimeProvider.System;   // threads sleep in real time, whatever clock the SAs have
    private readonly long _window = Time.TimestampFrequency / 1000;
    private long _start;
    private int _count;

    /// <summary>In the last window of a millisecond enough packets came.</summary>
    public bool IsBusy { get; private set; }

    /// <summary>Counts what one look brought.</summary>
    public void Add(int packets)
    {
        _count += packets;
        long now = Time.GetTimestamp(), passed = now - _start;
        if (passed >= _window)
        {
            IsBusy = _count * _window >= BusyPerMillisecond * passed;
            _start = now;
            _count = 0;
        }
    }
}
