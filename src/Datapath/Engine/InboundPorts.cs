using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Direct;
using Xfrmd.Datapath.Ports;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// The sockets that one inbound thread waits on, and the ordinary device while it works that too (<see cref="OutboundTurn"/>). Changed by that
/// thread only.
/// </summary>
/// <param name="wake">Ends its waiting.</param>
/// <param name="outbound">The ordinary device.</param>
/// <param name="wakeOutbound">Wakes the device's own thread.</param>
internal sealed class InboundPorts(SafeFileHandle wake, OutboundTurn outbound, Action wakeOutbound)
{
    private const int LargeBatch = 64, RingRounds = 16;
    private readonly ShortSleep _pause = new(wake);
    private static readonly TimeProvider Time = TimeProvider.System;
    private readonly ArrivalRate _rate = new(), _outboundRate = new();
    private int _lastBatch, _lastReads;
    private bool _isJoined;
    private readonly List<(SafeFileHandle Socket, IArrivalPort Port)> _ports = [];
    private ReadyWait? _wait;

    /// <summary>Hears of changes while a ring is read; null: there are none.</summary>
    public DirectView? Direct { get; set; }

    public void Add(SafeFileHandle socket, IArrivalPort port)
    {
        _ports.Add((socket, port));
        _wait = null;
    }

    /// <summary>The same, before all others.</summary>
    public void AddFirst(SafeFileHandle socket, IArrivalPort port)
    {
        _ports.Insert(0, (socket, port));
        _wait = null;
    }

    /// <summary>
    /// What waits in a ring is handled before anything else: where a raw socket sees some of the same packets (<see cref="TwiceFilter"/>) the ring
    /// has all of them in their order.
    /// </summary>
    private static int RunWhole(InboundWorker worker, IArrivalPort port)
    {
        int count = worker.RunOnce(port), total = count;
        for (int round = 1; count == RingArrivalPort.Capacity && port is RingArrivalPort && round < RingRounds; round++)
        {
            count = worker.RunOnce(port);
            total += count;
        }
        return total;
    }

    /// <summary>Handles a batch of each port, in their order. How much they had.</summary>
    public int RunAll(InboundWorker worker, bool withRings = true)
    {
        int count = 0;
        for (int i = 0; i < _ports.Count; i++)
        {
            count += withRings || _ports[i].Port is not RingArrivalPort ? worker.RunOnce(_ports[i].Port) : 0;
        }
        return count;
    }

    public int Count => _ports.Count;

    public void Remove(SafeFileHandle socket)
    {
        _ports.RemoveAll(p => p.Socket == socket);
        _wait = null;
    }

    /// <summary>Waits, and handles a batch of each port that has packets, and of the device.</summary>
    public void Step(InboundWorker worker)
    {
        bool joined = !outbound.IsApart;
        if (_wait is null || joined != _isJoined)
        {
            _isJoined = joined;
            _wait = new ReadyWait([wake, .. _ports.Select(p => p.Socket), .. joined ? [outbound.Queue] : (ReadOnlySpan<SafeFileHandle>)[]]);
        }
        bool isBusy = _rate.IsBusy || (joined && _outboundRate.IsBusy);
        if (isBusy && _lastBatch < LargeBatch && _lastReads == 0)
        {
            _pause.Sleep(Math.Max(_rate.PauseMicroseconds, _outboundRate.PauseMicroseconds));
        }
        if (!isBusy)
        {
            foreach ((_, IArrivalPort port) in _ports)
            {
                port.PrepareWait();
            }
        }
        uint ready = _wait.Wait(isBusy ? 0 : Patience(worker, joined));
        worker.Expire();
        bool arrived = (ready & ((2u << _ports.Count) - 2)) != 0;   // the wake event is before the ports, the device behind them
        if (isBusy && arrived)
        {
            _ = Direct?.Look(out _);
        }
        long start = Time.GetTimestamp();
        _lastBatch = 0;
        for (int i = 0; i < _ports.Count; i++)
        {
            if ((ready & (2u << i)) != 0)
            {
                _lastBatch += RunWhole(worker, _ports[i].Port);
            }
        }
        _rate.Add(_lastBatch);
        long end = Time.GetTimestamp();
        outbound.AddInbound(end - start);
        if (joined)
        {
            RunOutbound(until: end + (end - start));
        }
    }

    /// <summary>
    /// What the host has answered to packets that have just come in is there already, and needs no second waking. Where more waits than a batch, it
    /// has as much time as the other direction had: so neither starves, and both have half where both are full, which makes them two threads.
    /// </summary>
    private void RunOutbound(long until)
    {
        _lastReads = 0;
        do
        {
            _lastReads += outbound.RunOnce();
        }
        while (outbound.Worker.HasMore && Time.GetTimestamp() < until);
        _outboundRate.Add(_lastReads);
        bool changes = outbound.Judge();
        if (outbound.Worker.IsDeviceGone)
        {
            outbound.StayApart();
            changes = true;
        }
        if (changes)
        {
            _lastReads = 0;
            wakeOutbound();
        }
    }

    private int Patience(InboundWorker worker, bool joined)
    {
        int inwards = worker.WaitMilliseconds, outwards = joined ? outbound.Worker.WaitMilliseconds : -1;
        return inwards < 0 ? outwards : outwards < 0 ? inwards : Math.Min(inwards, outwards);
    }
}
