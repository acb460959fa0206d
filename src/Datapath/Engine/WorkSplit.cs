namespace Xfrmd.Datapath.Engine;

/// <summary>
/// Whether two directions need a thread each: where together they fill most of one thread's time and the lesser has a share that is worth
/// waking a thread for. What ends that is less than what began it.
/// </summary>
/// <param name="window">What is looked at at once, in timestamps.</param>
internal sealed class WorkSplit(long window)
{
    // In percent of the window.
    private const int Full = 80, Slack = 60;

    // In percent of all work, the lesser direction's.
    private const int WorthThread = 25, NotWorthThread = 15;
    private long _start, _inboundAtStart, _outboundAtStart;

    /// <summary>Two threads.</summary>
    public bool IsApart { get; private set; }

    /// <summary>Called now and then. True: it has changed.</summary>
    /// <param name="now">A timestamp.</param>
    /// <param name="inbound">Timestamps spent on the one direction, ever.</param>
    /// <param name="outbound">On the other.</param>
    public bool Judge(long now, long inbound, long outbound)
    {
        long passed = now - _start;
        if (passed < window)
        {
            return false;
        }
        long lesser = Math.Min(inbound - _inboundAtStart, outbound - _outboundAtStart);
        long all = inbound - _inboundAtStart + outbound - _outboundAtStart;
        (_start, _inboundAtStart, _outboundAtStart) = (now, inbound, outbound);
        bool was = IsApart;
        IsApart = was
            ? all * 100 >= passed * Slack && lesser * 100 >= all * NotWorthThread
            : all * 100 >= passed * Full && lesser * 100 >= all * WorthThread;
        return IsApart != was;
    }
}
