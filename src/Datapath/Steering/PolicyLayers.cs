using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// Plans the rules of one chain. Policies lie in layers that are tried one after the other; a layer has one verdict, so within it order
/// does not matter and a hash table per shape can stand for any number of policies. Two policies that overlap and differ in verdict are
/// kept in layers of SPD order; all others go wherever their verdict already has a layer. Ten thousand tunnels are one layer.
/// </summary>
/// <remarks>Pure bookkeeping: every change of rules goes to the <see cref="IRuleTable"/>.</remarks>
/// <param name="table">Takes the changes.</param>
/// <param name="verdictOf">The verdict of a policy in this chain; null where the chain does not show it.</param>
/// <param name="foreignMark">Bits of the mark that policies may look at.</param>
public sealed class PolicyLayers(IRuleTable table, Func<Policy, SteeringVerdict?> verdictOf, uint foreignMark)
{
    private const int MaxRounds = 4;
    private readonly List<Layer> _layers = [];
    private readonly Dictionary<Policy, Entry> _entries = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<SteeringVerdict, OverlapIndex<Entry>> _byVerdict = [];

    /// <summary>The rules in the order in which a packet meets them.</summary>
    public IEnumerable<RuleGroup> Groups => _layers.SelectMany(l => l.Groups);

    public int LayerCount => _layers.Count;

    public int PolicyCount => _entries.Count;

    public void Insert(Policy policy)
    {
        if (verdictOf(policy) is not { } verdict)
        {
            return;
        }
        Entry added = new(policy, verdict, SelectorExpansion.Expand(policy, foreignMark));
        _entries.Add(policy, added);
        // Usually one round. Where layers and SPD order disagree, later policies move behind: mostly once, since the earliest goes first; and not
        // for ever where they go round in a circle.
        SortedSet<Entry> waiting = new(Comparer<Entry>.Create((a, b) => PolicyOrder.Comparer.Compare(a.Policy, b.Policy))) { added };
        for (int left = MaxRounds * _entries.Count; waiting.Min is { } entry; left--)
        {
            waiting.Remove(entry);
            Place(entry, left > 0 ? waiting : null);
        }
    }

    public void Remove(Policy policy) => Remove([policy]);

    /// <summary>Takes many out; a rule that loses all its policies goes without its keys being touched one by one.</summary>
    public void Remove(IReadOnlyList<Policy> policies)
    {
        List<Membership> gone = [];
        foreach (Policy policy in policies)
        {
            if (_entries.Remove(policy, out Entry? entry))
            {
                Withdraw(entry, gone);
            }
        }
        TakeOut(gone);
    }

    /// <summary>Puts the new policy where the old one was, touching as little as can be.</summary>
    public void Replace(Policy old, Policy policy)
    {
        if (verdictOf(old) == verdictOf(policy))
        {
            Insert(policy);
            Remove(old);
        }
        else
        {
            Remove(old);
            Insert(policy);
        }
    }

    /// <summary>The rule that holds a policy, for people.</summary>
    public RuleGroup? GroupOf(Policy policy) => _entries.GetValueOrDefault(policy)?.Members.FirstOrDefault().Group;

    private void Place(Entry entry, SortedSet<Entry>? waiting)
    {
        int after = -1, before = _layers.Count;
        List<Entry> later = [];
        foreach ((SteeringVerdict verdict, OverlapIndex<Entry> others) in _byVerdict)
        {
            if (verdict == entry.Verdict)
            {
                continue;
            }
            foreach (Entry other in others.Overlapping(entry.Policy))
            {
                int index = other.Layer!.Index;
                if (PolicyOrder.Compare(other.Policy, entry.Policy) < 0)
                {
                    after = Math.Max(after, index);
                }
                else
                {
                    before = Math.Min(before, index);
                    later.Add(other);
                }
            }
        }
        Layer? layer = null;
        if (before > after)
        {
            for (int i = after + 1; i < before && layer is null; i++)
            {
                layer = _layers[i].Verdict == entry.Verdict ? _layers[i] : null;
            }
        }
        layer ??= AddLayer(after + 1, entry.Verdict);
        Join(entry, layer);
        if (waiting is null)
        {
            return;
        }
        foreach (Entry other in later)
        {
            if (other.Layer!.Index <= layer.Index)
            {
                List<Membership> gone = [];
                Withdraw(other, gone);
                TakeOut(gone);
                waiting.Add(other);
            }
        }
    }

    private void Join(Entry entry, Layer layer)
    {
        entry.Layer = layer;
        layer.Entries++;
        if (!_byVerdict.TryGetValue(entry.Verdict, out OverlapIndex<Entry>? same))
        {
            _byVerdict[entry.Verdict] = same = new OverlapIndex<Entry>(e => e.Policy);
        }
        same.Add(entry);
        foreach ((SelectorShape shape, SelectorKey key) in entry.Selectors)
        {
            if (!layer.ByShape.TryGetValue(shape, out RuleGroup? group))
            {
                group = new RuleGroup(layer.Verdict, shape);
                RuleGroup? behind = LastGroupUpTo(layer.Index);
                layer.ByShape[shape] = group;
                layer.Groups.Add(group);
                table.AddGroup(group, behind);
            }
            if (group.AddReference(key))
            {
                table.AddKey(group, key);
            }
            entry.Members.Add((group, key));
        }
    }

    /// <summary>Takes a policy out of its layer; the keys that nobody else needs are to be <see cref="TakeOut"/>.</summary>
    private void Withdraw(Entry entry, List<Membership> gone)
    {
        Layer layer = entry.Layer!;
        foreach ((RuleGroup group, SelectorKey key) in entry.Members)
        {
            if (group.DropReference(key))
            {
                gone.Add(new Membership(layer, group, key));
            }
        }
        entry.Members.Clear();
        entry.Layer = null;
        _byVerdict[entry.Verdict].Remove(entry);
        if (--layer.Entries == 0)
        {
            _layers.RemoveAt(layer.Index);
            Renumber(layer.Index);
        }
    }

    private void TakeOut(List<Membership> gone)
    {
        foreach ((Layer layer, RuleGroup group, SelectorKey key) in gone)
        {
            if (!group.IsEmpty)
            {
                table.RemoveKey(group, key);
            }
            else if (layer.ByShape.Remove(group.Shape))
            {
                layer.Groups.Remove(group);
                table.RemoveGroup(group);
            }
        }
    }

    private Layer AddLayer(int index, SteeringVerdict verdict)
    {
        Layer layer = new(verdict);
        _layers.Insert(index, layer);
        Renumber(index);
        return layer;
    }

    private void Renumber(int from)
    {
        for (int i = from; i < _layers.Count; i++)
        {
            _layers[i].Index = i;
        }
    }

    private RuleGroup? LastGroupUpTo(int index)
    {
        for (int i = index; i >= 0; i--)
        {
            if (_layers[i].Groups is [.., RuleGroup last])
            {
                return last;
            }
        }
        return null;
    }

    private readonly record struct Membership(Layer Layer, RuleGroup Group, SelectorKey Key);

    private sealed class Layer(SteeringVerdict verdict)
    {
        public int Index { get; set; }
        public SteeringVerdict Verdict { get; } = verdict;
        public Dictionary<SelectorShape, RuleGroup> ByShape { get; } = [];
        public List<RuleGroup> Groups { get; } = [];
        public int Entries { get; set; }
    }

    private sealed class Entry(Policy policy, SteeringVerdict verdict, List<(SelectorShape, SelectorKey)> selectors)
    {
        public Policy Policy { get; } = policy;
        public SteeringVerdict Verdict { get; } = verdict;
        public List<(SelectorShape, SelectorKey)> Selectors { get; } = selectors;
        public List<(RuleGroup Group, SelectorKey Key)> Members { get; } = [];
        public Layer? Layer { get; set; }
    }
}
