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
    private readonly Dictionary<SteeringVerdict, Kin> _byVerdict = [];
    private readonly List<Membership> _gone = [];

    /// <summary>The rules in the order in which a packet meets them.</summary>
    public IEnumerable<RuleGroup> Groups => _layers.SelectMany(l => l.Groups);

    public int LayerCount => _layers.Count;

    public int PolicyCount { get; private set; }

    public void Insert(Policy policy)
    {
        if (verdictOf(policy) is not { } verdict)
        {
            return;
        }
        (SelectorShape Shape, SelectorKey Key)[] selectors = SelectorExpansion.Expand(policy, foreignMark);
        Entry added = new(this, policy, verdict, selectors.Length);
        policy.Plan = added;
        PolicyCount++;
        if (Place(added, selectors, displace: true) is not { } displaced)
        {
            return;
        }
        // Usually one round. Where layers and SPD order disagree, later policies move behind: mostly once, since the earliest goes first; and not
        // for ever where they go round in a circle.
        SortedSet<Entry> waiting = new(displaced, Comparer<Entry>.Create((a, b) => PolicyOrder.Comparer.Compare(a.Policy, b.Policy)));
        for (int left = (MaxRounds * PolicyCount) - 1; waiting.Min is { } entry; left--)
        {
            waiting.Remove(entry);
            waiting.UnionWith(Place(entry, SelectorExpansion.Expand(entry.Policy, foreignMark), displace: left > 0) ?? []);
        }
    }

    /// <summary>Takes many out; a rule that loses all its policies goes without its keys being touched one by one. Those that are not here do not count.</summary>
    public void Remove(params IReadOnlyList<Policy> policies)
    {
        if (PolicyCount == 0)
        {
            return;
        }
        List<Entry> found = new(Math.Min(policies.Count, PolicyCount));
        for (int i = 0; i < policies.Count; i++)
        {
            if (EntryOf(policies[i]) is { } entry)
            {
                policies[i].Plan = null;
                PolicyCount--;
                found.Add(entry);
            }
        }
        if (PolicyCount == 0)
        {
            Clear();
            return;
        }
        found.ForEach(Withdraw);
        TakeOut();
    }

    private void Clear()
    {
        foreach (RuleGroup group in Groups)
        {
            table.RemoveGroup(group);
        }
        _layers.Clear();
        _byVerdict.Clear();
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
    public RuleGroup? GroupOf(Policy policy) => EntryOf(policy)?.Members.FirstOrDefault().Group;

    // A policy has one direction, and that one planner: what an earlier one has left there counts no more.
    private Entry? EntryOf(Policy policy) => policy.Plan is Entry entry && entry.Owner == this ? entry : null;

    /// <summary>Puts a policy into a layer. Returns those that stand before it now and should not, which have been taken out.</summary>
    private List<Entry>? Place(Entry entry, ReadOnlySpan<(SelectorShape, SelectorKey)> selectors, bool displace)
    {
        int after = -1, before = _layers.Count;
        List<Entry>? later = null;
        foreach ((SteeringVerdict verdict, Kin others) in _byVerdict)
        {
            if (verdict == entry.Verdict)
            {
                continue;
            }
            foreach (Entry other in others.Index.Overlapping(entry.Policy))
            {
                int index = other.Layer!.Index;
                if (PolicyOrder.Compare(other.Policy, entry.Policy) < 0)
                {
                    after = Math.Max(after, index);
                }
                else
                {
                    before = Math.Min(before, index);
                    (later ??= []).Add(other);
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
        Join(entry, layer, selectors);
        if (!displace || later is null)
        {
            return null;
        }
        List<Entry>? displaced = null;
        foreach (Entry other in later)
        {
            if (other.Layer!.Index <= layer.Index)
            {
                Withdraw(other);
                TakeOut();
                (displaced ??= []).Add(other);
            }
        }
        return displaced;
    }

    private void Join(Entry entry, Layer layer, ReadOnlySpan<(SelectorShape, SelectorKey)> selectors)
    {
        entry.Layer = layer;
        layer.Entries++;
        if (!_byVerdict.TryGetValue(entry.Verdict, out Kin? same))
        {
            _byVerdict[entry.Verdict] = same = new Kin();
        }
        same.Add(entry);
        for (int i = 0; i < selectors.Length; i++)
        {
            (SelectorShape shape, SelectorKey key) = selectors[i];
            RuleGroup group = GroupFor(layer, shape);
            if (group.AddReference(key))
            {
                table.AddKey(group, key);
            }
            entry.Members[i] = (group, key);
        }
    }

    private RuleGroup GroupFor(Layer layer, in SelectorShape shape)
    {
        // Policies come in rows of one shape.
        if (layer.Latest is { } latest && latest.Shape == shape)
        {
            return latest;
        }
        if (!layer.ByShape.TryGetValue(shape, out RuleGroup? group))
        {
            group = new RuleGroup(layer.Verdict, shape);
            RuleGroup? behind = LastGroupUpTo(layer.Index);
            layer.ByShape[shape] = group;
            layer.Groups.Add(group);
            table.AddGroup(group, behind);
        }
        return layer.Latest = group;
    }

    /// <summary>Takes a policy out of its layer; the keys that nobody else needs go with <see cref="TakeOut"/>.</summary>
    private void Withdraw(Entry entry)
    {
        Layer layer = entry.Layer!;
        foreach ((RuleGroup group, SelectorKey key) in entry.Members)
        {
            if (group.DropReference(key))
            {
                _gone.Add(new Membership(layer, group, key));
            }
        }
        Array.Clear(entry.Members);
        entry.Layer = null;
        _byVerdict[entry.Verdict].Remove(entry);
        if (--layer.Entries == 0)
        {
            _layers.RemoveAt(layer.Index);
            Renumber(layer.Index);
        }
    }

    private void TakeOut()
    {
        foreach ((Layer layer, RuleGroup group, SelectorKey key) in _gone)
        {
            if (!group.IsEmpty)
            {
                table.RemoveKey(group, key);
            }
            else if (layer.ByShape.Remove(group.Shape))
            {
                layer.Latest = null;
                layer.Groups.Remove(group);
                table.RemoveGroup(group);
            }
        }
        _gone.Clear();
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
        public RuleGroup? Latest { get; set; }
        public int Entries { get; set; }
    }

    /// <summary>All of one verdict. Which of them overlap a policy only those of another verdict ask: mostly there is none.</summary>
    private sealed class Kin
    {
        private readonly List<Entry> _entries = [];
        private OverlapIndex<Entry>? _index;

        public OverlapIndex<Entry> Index
        {
            get
            {
                if (_index is null)
                {
                    _index = new OverlapIndex<Entry>(static e => e.Policy);
                    _entries.ForEach(_index.Add);
                }
                return _index;
            }
        }

        public void Add(Entry entry)
        {
            entry.Place = _entries.Count;
            _entries.Add(entry);
            _index?.Add(entry);
        }

        public void Remove(Entry entry)
        {
            Entry last = _entries[^1];
            _entries[entry.Place] = last;
            last.Place = entry.Place;
            _entries.RemoveAt(_entries.Count - 1);
            _index?.Remove(entry);
        }
    }

    private sealed class Entry(PolicyLayers owner, Policy policy, SteeringVerdict verdict, int members)
    {
        public PolicyLayers Owner { get; } = owner;
        public Policy Policy { get; } = policy;

        /// <summary>Its number among its kin.</summary>
        public int Place { get; set; }
        public SteeringVerdict Verdict { get; } = verdict;
        public (RuleGroup Group, SelectorKey Key)[] Members { get; } = new (RuleGroup, SelectorKey)[members];
        public Layer? Layer { get; set; }
    }
}
