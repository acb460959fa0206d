using Xfrmd.Kernel;

namespace Xfrmd.Cli.Control;

/// <summary>Adds up what is lost, second by second: of each kind how many, which flow, why, and what came nearest.</summary>
internal sealed class DropFollower : IDisposable
{
    private const int MaxFlows = 50;
    private readonly XfrmNamespace _space;
    private readonly DropWatch _watch;
    private IReadOnlyDictionary<XfrmCounter, long> _beneath;

    public DropFollower(XfrmNamespace space)
    {
        _space = space;
        _watch = space.Drops.Watch();
        _beneath = ReadBeneath();
    }

    /// <summary>What was lost since it was asked last, the most frequent first.</summary>
    public DropReport[] Take()
    {
        // Read in this order: what was counted until now has been told by then.
        IReadOnlyDictionary<XfrmCounter, long> beneath = ReadBeneath();
        string? obstacle = _space.Drops.CollectBeneath();
        Dictionary<XfrmCounter, long> told = [];
        Dictionary<(XfrmCounter?, string), (long Packets, DroppedPacket First)> kinds = [];
        while (_watch.Reader.TryRead(out DroppedPacket dropped))
        {
            string flow = Describe.Flow(dropped.Flow) + (dropped.Spi.Raw == 0 ? "" : $" spi 0x{dropped.Spi.Value:x8}");
            (long packets, DroppedPacket first) = kinds.GetValueOrDefault((dropped.Counter, flow), (0, dropped));
            kinds[(dropped.Counter, flow)] = (packets + dropped.Packets, first);
            if (dropped is { Beneath: true, Counter: { } beneathCounter })
            {
                told[beneathCounter] = told.GetValueOrDefault(beneathCounter) + dropped.Packets;
            }
        }
        List<DropReport> reports = [.. kinds.OrderByDescending(kind => kind.Value.Packets).Take(MaxFlows).Select(kind => new DropReport
        {
            Counter = kind.Key.Item1 is { } counter ? "Xfrm" + counter : "(uncounted)",
            Packets = kind.Value.Packets,
            Flow = kind.Key.Item2,
            Why = kind.Value.First.Why ?? (kind.Key.Item1 is { } why ? CounterGuide.Meaning(why) : "the default policy blocks"),
            Nearest = NearestTo(kind.Value.First),
        })];
        long others = kinds.Values.Sum(kind => kind.Packets) - reports.Sum(report => report.Packets) + _watch.TakeLeftOut();
        if (others > 0)
        {
            reports.Add(new DropReport { Counter = "(more)", Packets = others, Flow = "other flows", Why = "too many to tell apart within a second" });
        }
        AddBeneath(reports, beneath, told, obstacle);
        return [.. reports];
    }

    /// <summary>Lets the flows of what is dropped beneath be told before there is no room for more.</summary>
    public void Collect() => _space.Drops.CollectBeneath();

    public void Dispose() => _watch.Dispose();

    /// <summary>What was counted beneath and of which flow was not told.</summary>
    private void AddBeneath(List<DropReport> reports, IReadOnlyDictionary<XfrmCounter, long> now, Dictionary<XfrmCounter, long> told, string? obstacle)
    {
        Dictionary<XfrmCounter, long> accounted = [];
        foreach ((XfrmCounter counter, long packets) in now)
        {
            long named = _beneath.GetValueOrDefault(counter) + told.GetValueOrDefault(counter), more = packets - named;
            accounted[counter] = Math.Max(packets, named);   // those of the last moment were told and are counted in the next second
            if (more > 0)
            {
                reports.Add(new DropReport
                {
                    Counter = "Xfrm" + counter,
                    Packets = more,
                    Flow = obstacle is null ? "other flows, in clear" : "in clear",
                    Why = CounterGuide.Meaning(counter),
                    Nearest = obstacle is null ? "more than are told within a second" : $"of which flow is not known: {obstacle}",
                });
            }
        }
        _beneath = accounted;
    }

    private IReadOnlyDictionary<XfrmCounter, long> ReadBeneath() => _space.Statistics.Beneath?.Invoke() ?? new Dictionary<XfrmCounter, long>();

    private string? NearestTo(in DroppedPacket dropped)
    {
        Flow flow = dropped.Flow;
        switch (dropped.Counter)
        {
            case XfrmCounter.OutNoStates or XfrmCounter.OutPolBlock or XfrmCounter.OutPolError:
                return _space.Spd.Find(flow, PolicyDirection.Out) is { } policy ? Policy(policy) : null;
            case XfrmCounter.InNoPols:
                return $"in: {Nearest.Policy(_space, flow, PolicyDirection.In)}; fwd: {Nearest.Policy(_space, flow, PolicyDirection.Fwd)}";
            case XfrmCounter.InTmplMismatch or XfrmCounter.InPolBlock:
                return (_space.Spd.Find(flow, PolicyDirection.In) ?? _space.Spd.Find(flow, PolicyDirection.Fwd)) is { } broken ? Policy(broken) : null;
            case XfrmCounter.InNoStates:
                return NearestSa(dropped);
            case { } counter when dropped.Spi.Raw != 0 && counter.ToString().Contains("State", StringComparison.Ordinal):
                lock (_space.Gate)
                {
                    Be32 spi = dropped.Spi;
                    return _space.Sad.All.FirstOrDefault(sa => sa.Id.Spi == spi) is { } sa ? Describe.Sa(sa) : null;
                }
            default:
                return null;
        }
    }

    // No such SPI: those that the peer may use instead.
    private string NearestSa(in DroppedPacket dropped)
    {
        Flow flow = dropped.Flow;
        lock (_space.Gate)
        {
            SecurityAssociation? same = _space.Sad.All.FirstOrDefault(sa => sa.Family == flow.Family && sa.Id.Daddr.Equals(flow.Daddr, sa.Family) && sa.Saddr.Equals(flow.Saddr, sa.Family))
                ?? _space.Sad.All.FirstOrDefault(sa => sa.Family == flow.Family && sa.Id.Daddr.Equals(flow.Daddr, sa.Family));
            return same is null ? "no SA leads to this address" : $"nearest is {Describe.Sa(same)}";
        }
    }

    private static string Policy(Policy policy) =>
        $"policy {Describe.Selector(policy.Selector)}{(policy.TemplateArray is [var template, ..] ? " asks for " + Describe.Template(template) : "")}";
}
