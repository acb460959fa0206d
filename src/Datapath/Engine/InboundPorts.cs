using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Direct;
using Xfrmd.Datapath.Ports;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Engine;

/// <summary>The sockets that one inbound thread waits on. Changed by that thread only.</summary>
internal sealed class InboundPorts(SafeFileHandle wake)
{
    private const int LargeBatch = 64, RingRounds = 16;
    private readonly ShortSleep _pause = new(wake, ArrivalRate.PauseMicroseconds);
    private readonly ArrivalRate _rate = new();
    private int _lastBatch;
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

    /// <summary>Handles a batch of each port, in their order. How many messages they had.</summary>
    public int RunAll(InboundWorker worker)
    {
        int count = 0;
        for (int i = 0; i < _ports.Count; i++)
        {
            count += worker.RunOnce(_ports[i].Port);
        }
        return count;
    }

    public int Count => _ports.Count;

    public void Remove(SafeFileHandle socket)
    {
        _ports.RemoveAll(p => p.Socket == socket);
        _wait = null;
    }

    /// <summary>Waits, and handles a batch of each port that has packets.</summary>
    public void Step(InboundWorker worker)
    {
        _wait ??= new ReadyWait([wake, .. _ports.Select(p => p.Socket)]);
        bool isBusy = _rate.IsBusy;
        if (isBusy && _lastBatch < LargeBatch)
        {
            _pause.Sleep();
        }
        uint ready = _wait.Wait(isBusy ? 0 : worker.WaitMilliseconds);
        worker.Expire();
        if (isBusy)
        {
            _ = Direct?.Look(out _);
        }
        _lastBatch = 0;
        for (int i = 0; i < _ports.Count; i++)
        {
            if ((ready & (2u << i)) != 0)
            {
                _lastBatch += RunWhole(worker, _ports[i].Port);
            }
        }
        _rate.Add(_lastBatch);
    }
}
