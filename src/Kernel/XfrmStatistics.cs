using System.Globalization;
using System.Text;

namespace Xfrmd.Kernel;

/// <summary>The counters of /proc/net/xfrm_stat of one namespace. Mirrors <c>xfrm_proc.c</c>: one set of counters per worker, summed when read.</summary>
public sealed class XfrmStatistics
{
    private const int Count = (int)XfrmCounter.OutNoQueueSpace + 1;
    private const int Stride = 64;   // longs: a worker's counters share no cache line with another's
    private const int Workers = 16;
    private readonly long[] _values = new long[Workers * Stride];

    /// <summary>Counts one packet. Any thread; <paramref name="worker"/> only spreads the writes.</summary>
    public void Increment(XfrmCounter counter, int worker = 0) => Add(counter, 1, worker);

    public void Add(XfrmCounter counter, long packets, int worker = 0) =>
        Interlocked.Add(ref _values[((worker & (Workers - 1)) * Stride) + (int)counter], packets);

    /// <summary>Packets that were dropped before they came here, by the counter that Linux would have for them; null: none. Any thread may call it.</summary>
    public Func<IReadOnlyDictionary<XfrmCounter, long>>? Beneath { get; set; }

    /// <summary>All counters, in their order, with what was dropped beneath.</summary>
    public long[] Snapshot()
    {
        IReadOnlyDictionary<XfrmCounter, long>? beneath = Beneath?.Invoke();
        long[] values = new long[Count];
        for (XfrmCounter counter = 0; (int)counter < Count; counter++)
        {
            values[(int)counter] = this[counter] + (beneath?.GetValueOrDefault(counter) ?? 0);
        }
        return values;
    }

    /// <summary>What counts beneath ends: what it has counted stays.</summary>
    public void KeepBeneath()
    {
        foreach ((XfrmCounter counter, long packets) in Beneath?.Invoke() ?? new Dictionary<XfrmCounter, long>())
        {
            Add(counter, packets);
        }
        Beneath = null;
    }

    /// <summary>What was counted here.</summary>
    public long this[XfrmCounter counter]
    {
        get
        {
            long sum = 0;
            for (int worker = 0; worker < Workers; worker++)
            {
                sum += Interlocked.Read(ref _values[(worker * Stride) + (int)counter]);
            }
            return sum;
        }
    }

    /// <summary>The text of /proc/net/xfrm_stat: name padded to 24, tab, number (<c>xfrm_statistics_seq_show</c>).</summary>
    public string ToProcText()
    {
        StringBuilder text = new();
        long[] values = Snapshot();
        for (XfrmCounter counter = 0; (int)counter < Count; counter++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{"Xfrm" + counter,-24}\t{values[(int)counter]}\n");
        }
        return text.ToString();
    }
}
