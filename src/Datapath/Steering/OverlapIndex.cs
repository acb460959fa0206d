using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// Finds what overlaps a policy among many: a table per pair of prefix lengths. Where both prefixes of a table are as wide as the policy's
/// or wider, one lookup answers; only the narrower tables are walked.
/// </summary>
internal sealed class OverlapIndex<T>(Func<T, Policy> policyOf)
    where T : class
{
    private readonly Dictionary<(ushort Family, byte PrefixS, byte PrefixD), Dictionary<(XfrmAddress, XfrmAddress), List<T>>> _tables = [];

    public void Add(T item)
    {
        XfrmSelector selector = policyOf(item).Selector;
        (ushort, byte, byte) shape = (selector.Family, selector.PrefixlenS, selector.PrefixlenD);
        if (!_tables.TryGetValue(shape, out var table))
        {
            _tables[shape] = table = [];
        }
        (XfrmAddress, XfrmAddress) key = Key(selector, selector.PrefixlenS, selector.PrefixlenD);
        if (!table.TryGetValue(key, out List<T>? items))
        {
            table[key] = items = [];
        }
        items.Add(item);
    }

    public void Remove(T item)
    {
        XfrmSelector selector = policyOf(item).Selector;
        (ushort, byte, byte) shape = (selector.Family, selector.PrefixlenS, selector.PrefixlenD);
        var table = _tables[shape];
        (XfrmAddress, XfrmAddress) key = Key(selector, selector.PrefixlenS, selector.PrefixlenD);
        List<T> items = table[key];
        items.Remove(item);
        if (items.Count == 0 && table.Remove(key) && table.Count == 0)
        {
            _tables.Remove(shape);
        }
    }

    public IEnumerable<T> Overlapping(Policy policy)
    {
        XfrmSelector selector = policy.Selector;
        foreach ((var shape, var table) in _tables)
        {
            if (shape.Family != selector.Family)
            {
                continue;
            }
            IEnumerable<T> candidates = shape.PrefixS <= selector.PrefixlenS && shape.PrefixD <= selector.PrefixlenD
                ? table.GetValueOrDefault(Key(selector, shape.PrefixS, shape.PrefixD), [])
                : table.Values.SelectMany(items => items);
            foreach (T candidate in candidates)
            {
                if (PolicyOrder.Overlap(policy, policyOf(candidate)))
                {
                    yield return candidate;
                }
            }
        }
    }

    private static (XfrmAddress, XfrmAddress) Key(in XfrmSelector selector, byte prefixS, byte prefixD) =>
        (selector.Saddr.Masked(prefixS, selector.Family), selector.Daddr.Masked(prefixD, selector.Family));
}
