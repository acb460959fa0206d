namespace Xfrmd.Datapath.Engine;

/// <summary>
/// Tells a worker that packets come fast: it then lets some gather before it looks again, and is woken by none. A packet that comes alone is
/// taken at once, as before. One per worker.
/// </summary>
internal sealed class ArrivalRate
{
    private const int BusyPerMillisecond = 32, FastPerMillisecond = 128;
    private const int ShortPause = 50, LongPause = 100;
    private static readonly TimeProvider Time = TimeProvider.System;   // threads sleep in real time, whatever clock the SAs have
    private readonly long _window = Time.TimestampFrequency / 1000;
    private long _start;
    private int _count;

    /// <summary>In the last window of a millisecond enough packets came.</summary>
    public bool IsBusy { get; private set; }

    /// <summary>How long packets gather: one or two at the rate from which on it is done, and a batch where they come so fast that it fills.</summary>
    public int PauseMicroseconds { get; private set; } = ShortPause;

    /// <summary>Counts what one look brought.</summary>
    public void Add(int packets)
    {
        _count += packets;
        long now = Time.GetTimestamp(), passed = now - _start;
        if (passed >= _window)
        {
            IsBusy = _count * _window >= BusyPerMillisecond * passed;
            PauseMicroseconds = _count * _window >= FastPerMillisecond * passed ? LongPause : ShortPause;
            _start = now;
            _count = 0;
        }
    }
}
