using Xfrmd.Datapath.Engine;
using Xfrmd.Datapath.Ports;

namespace Xfrmd.Datapath.Direct;

/// <summary>The thread that reads rings and raw sockets. All but <paramref name="thread"/> is that thread's.</summary>
/// <param name="thread">The thread.</param>
/// <param name="ports">What it reads.</param>
/// <param name="worker">What it reads for.</param>
/// <param name="filter">Keeps it from taking a packet twice.</param>
internal sealed class DirectReceiver(WorkerThread thread, InboundPorts ports, InboundWorker worker, TwiceFilter filter)
{
    /// <summary>More than the queue of any port holds.</summary>
    private const int Rounds = 256;

    public WorkerThread Thread => thread;

    public void Remove(RingArrivalPort port) => ports.Remove(port.Ring.Handle);

    public TwiceFilter Filter => filter;

    /// <summary>From now on packets may come the other way. What a ring has from before it has for the pairs from before.</summary>
    /// <param name="isTwice">They may come both ways.</param>
    public void Begin(bool isTwice)
    {
        if (isTwice)
        {
            filter.Begin();
        }
        RunDry();
    }

    /// <summary>
    /// Changes what a ring takes by itself, which then has the newer packets: those that the raw sockets have go first, or a replay window would
    /// close before them.
    /// </summary>
    public void Take(Action change)
    {
        change();
        for (int round = 0; round < Rounds && ports.RunAll(worker, withRings: false) > 0; round++)
        {
        }
    }

    /// <summary>Packets come one way only, and all that came both ways has been handled.</summary>
    public void End()
    {
        RunDry();
        filter.End();
    }

    /// <summary>A ring is there. What the raw sockets have is older than what it will have that they have not.</summary>
    public void Add(RingArrivalPort port)
    {
        RunDry();
        ports.AddFirst(port.Ring.Handle, port);
    }

    private void RunDry()
    {
        for (int round = 0; round < Rounds && ports.RunAll(worker) > 0; round++)
        {
        }
    }
}
