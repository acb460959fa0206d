using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// One worker's packets that wait for an SA, where net.core.xfrm_larval_drop is 0: <c>struct xfrm_policy_queue</c> of each policy. The first of a
/// policy's packets is tried again after 100 ms, then after twice as long each time, up to a minute.
/// </summary>
internal sealed class HeldPackets(TimeProvider time)
{
    private const int MaxPackets = 101;   // xdst_queue_output refuses when more than XFRM_MAX_QUEUE_LEN wait already
    private static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(100), LastWait = TimeSpan.FromMinutes(1);
    private readonly Dictionary<Policy, Line> _lines = new(ReferenceEqualityComparer.Instance);

    public bool IsEmpty => _lines.Count == 0;

    /// <summary>Keeps a copy of a packet. False: too many wait already.</summary>
    public bool TryHold(Policy policy, ReadOnlySpan<byte> packet)
    {
        if (!_lines.TryGetValue(policy, out Line? line))
        {
            line = new Line { Wait = FirstWait, Due = time.GetTimestamp() + Ticks(FirstWait) };
            _lines.Add(policy, line);
        }
        if (line.Packets.Count >= MaxPackets)
        {
            return false;
        }
        line.Packets.Enqueue(packet.ToArray());
        return true;
    }

    /// <summary>How long until some are due; infinite where none wait.</summary>
    public TimeSpan Delay()
    {
        TimeSpan least = Timeout.InfiniteTimeSpan;
        foreach (Line line in _lines.Values)
        {
            long left = line.Due - time.GetTimestamp();
            TimeSpan delay = left <= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds((double)left / time.TimestampFrequency);
            least = least < TimeSpan.Zero || delay < least ? delay : least;
        }
        return least;
    }

    /// <summary>A policy whose packets are due, and the first of them; null: none.</summary>
    public (Policy Policy, byte[] First)? NextDue()
    {
        long now = time.GetTimestamp();
        foreach ((Policy policy, Line line) in _lines)
        {
            if (line.Due <= now)
            {
                return (policy, line.Packets.Peek());
            }
        }
        return null;
    }

    /// <summary>There is still no SA: the packets wait twice as long once more, or have waited long enough (<c>xfrm_policy_queue_process</c>).</summary>
    public void Postpone(Policy policy)
    {
        Line line = _lines[policy];
        if (line.Wait >= LastWait)
        {
            _lines.Remove(policy);
            return;
        }
        line.Wait *= 2;
        line.Due = time.GetTimestamp() + Ticks(line.Wait);
    }

    /// <summary>Takes all packets of a policy.</summary>
    public Queue<byte[]> Release(Policy policy) => _lines.Remove(policy, out Line? line) ? line.Packets : [];

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);

    private sealed class Line
    {
        public Queue<byte[]> Packets { get; } = new();
        public TimeSpan Wait { get; set; }
        public long Due { get; set; }
    }
}
