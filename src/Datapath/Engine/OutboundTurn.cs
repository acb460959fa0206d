using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// One device's outbound worker and who works it. The ordinary device's is worked by the inbound thread, which then wakes nobody for a reply
/// or for TCP's acknowledgements, until both directions together are more than one thread can do; then by a thread of its own, until they
/// are not. Whoever works it holds it for one batch, so packets keep their order.
/// </summary>
/// <param name="worker">Owned.</param>
/// <param name="queue">Where its packets come from.</param>
/// <param name="mayJoin">The inbound thread may work it.</param>
internal sealed class OutboundTurn(OutboundWorker worker, SafeFileHandle queue, bool mayJoin)
{
    private const int WindowMilliseconds = 20;

    // In percent of the window's time: from where on two threads are needed, and from where on they no longer are.
    private const int Full = 80, Slack = 60;

    // In percent of all work: what the lesser direction must have to be worth a thread, and from where on it no longer has.
    private const int WorthThread = 25, NotWorthThread = 15;
    private static readonly TimeProvider Time = TimeProvider.System;
    private readonly long _window = Time.TimestampFrequency / 1000 * WindowMilliseconds;
    private readonly Lock _gate = new();
    private volatile bool _isApart = !mayJoin;
    private bool _mayJoin = mayJoin;
    private bool _closed;
    private long _start, _inboundAtStart, _outboundAtStart;   // of whoever works it
    private long _inbound, _outbound;

    public OutboundWorker Worker => worker;

    public SafeFileHandle Queue => queue;

    /// <summary>A thread of its own works it.</summary>
    public bool IsApart => _isApart;

    /// <summary>Handles a batch: how many reads brought a packet.</summary>
    public int RunOnce()
    {
        lock (_gate)
        {
            if (_closed)
            {
                return 0;
            }
            long start = Time.GetTimestamp();
            int reads = worker.RunOnce();
            _outbound += Time.GetTimestamp() - start;
            return reads;
        }
    }

    /// <summary>Forgets SAs that are gone.</summary>
    public void Sweep()
    {
        lock (_gate)
        {
            if (!_closed)
            {
                worker.Sweep();
            }
        }
    }

    /// <summary>Timestamps of work that the inbound thread did, its own.</summary>
    public void AddInbound(long passed) => Volatile.Write(ref _inbound, _inbound + passed);

    /// <summary>Called behind a batch by whoever works it. True: from now on the other thread does, and is to be woken.</summary>
    public bool Judge()
    {
        long now = Time.GetTimestamp(), passed = now - _start;
        if (passed < _window || !_mayJoin)
        {
            return false;
        }
        long inbound = Volatile.Read(ref _inbound), outbound = Volatile.Read(ref _outbound);
        long lesser = Math.Min(inbound - _inboundAtStart, outbound - _outboundAtStart);
        long all = inbound - _inboundAtStart + outbound - _outboundAtStart;
        (_start, _inboundAtStart, _outboundAtStart) = (now, inbound, outbound);
        bool apart = _isApart
            ? all * 100 >= passed * Slack && lesser * 100 >= all * NotWorthThread
            : all * 100 >= passed * Full && lesser * 100 >= all * WorthThread;
        if (apart == _isApart)
        {
            return false;
        }
        _isApart = apart;
        return true;
    }

    /// <summary>From now on its own thread works it: the device is gone.</summary>
    public void StayApart()
    {
        _mayJoin = false;
        _isApart = true;
    }

    /// <summary>Nobody works it any more; what it uses is freed.</summary>
    /// <param name="release">Frees what the worker does not own.</param>
    public void Close(Action release)
    {
        lock (_gate)
        {
            StayApart();
            _closed = true;
            worker.Dispose();
            release();
        }
    }
}
