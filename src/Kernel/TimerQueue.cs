namespace Xfrmd.Kernel;

/// <summary>
/// Timers by due time. Most are armed for the same few spans, so that they come in order: those stand in plain queues, and only what would be
/// out of order in each of them in a heap.
/// </summary>
internal sealed class TimerQueue<T>
{
    private const int Lanes = 4;
    private readonly Lane[] _lanes = [.. Enumerable.Range(0, Lanes).Select(static _ => new Lane())];
    private readonly PriorityQueue<T, long> _rest = new();

    public int Count { get; private set; }

    public void Enqueue(T item, long due)
    {
        Count++;
        // The lane whose last comes closest before.
        Lane? best = null;
        foreach (Lane lane in _lanes)
        {
            if (lane.Last <= due && (best is null || lane.Last > best.Last))
            {
                best = lane;
            }
        }
        if (best is null)
        {
            _rest.Enqueue(item, due);
            return;
        }
        best.Items.Enqueue((item, due));
        best.Last = due;
    }

    public bool TryPeek(out T item, out long due)
    {
        if (FirstLane() is { } lane)
        {
            (item, due) = lane.Items.Peek();
            return true;
        }
        return _rest.TryPeek(out item!, out due);
    }

    /// <summary>Takes out what <see cref="TryPeek"/> showed.</summary>
    public void Dequeue()
    {
        Count--;
        if (FirstLane() is { } lane)
        {
            lane.Items.Dequeue();
            lane.Forget();
        }
        else
        {
            _rest.Dequeue();
        }
    }

    public void RemoveWhere(Func<T, long, bool> isStale)
    {
        foreach (Lane lane in _lanes)
        {
            (T Item, long Due)[] live = [.. lane.Items.Where(timer => !isStale(timer.Item, timer.Due))];
            lane.Items = new Queue<(T, long)>(live);
            lane.Forget();
        }
        (T, long)[] rest = [.. _rest.UnorderedItems.Where(timer => !isStale(timer.Element, timer.Priority))];
        _rest.Clear();
        _rest.EnqueueRange(rest);
        _rest.TrimExcess();
        Count = _rest.Count + _lanes.Sum(static lane => lane.Items.Count);
    }

    // The one whose first is due before all others; null where that stands in the heap.
    private Lane? FirstLane()
    {
        Lane? first = null;
        long earliest = _rest.TryPeek(out _, out long due) ? due : long.MaxValue;
        foreach (Lane lane in _lanes)
        {
            if (lane.Items.TryPeek(out (T Item, long Due) timer) && (timer.Due < earliest || (first is null && _rest.Count == 0)))
            {
                (first, earliest) = (lane, timer.Due);
            }
        }
        return first;
    }

    private sealed class Lane
    {
        private const int Spare = 1024;

        public Queue<(T Item, long Due)> Items { get; set; } = new();

        public long Last { get; set; } = long.MinValue;

        // An empty one takes any due time, and gives back what it held.
        public void Forget()
        {
            if (Items.Count != 0)
            {
                return;
            }
            Last = long.MinValue;
            if (Items.EnsureCapacity(0) > Spare)
            {
                Items = new();
            }
        }
    }
}
