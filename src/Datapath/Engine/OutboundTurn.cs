using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// One device's outbound worker and who works it. The ordinary device's is worked by the inbound thread, which then wakes nobody for a reply
/// or for TCP's acknowledgements, until both directions need a thread each (<see cref="WorkSplit"/>). Whoever works it holds it for one batch,
/// so packets keep their order.
/// </summary>
/// <param name="worker">Owned.</param>
/// <param name="queue">Where its packets come from.</param>
/// <param name="mayJoin">The inbound thread may work it.</param>
internal sealed class OutboundTurn(OutboundWorker worker, SafeFileHandle queue, bool mayJoin)
{
    private const int WindowMilliseconds = 20;
    private static readonly TimeProvider Time = TimeProvider.System;
    private readonly WorkSplit _split = new(Time.TimestampFrequency / 1000 * WindowMilliseconds);   // of whoever works it
    private readonly Lock _gate = new();
    private volatile bool _isApart = !mayJoin;
    private volatile bool _mayJoin = mayJoin;
    private bool _closed;
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
        if (!_mayJoin || !_split.Judge(Time.GetTimestamp(), Volatile.Read(ref _inbound), _outbound))
        {
            return false;
        }
        _isApart = _split.IsApart;
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
