using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// Finds what overlaps a policy among many: a table per pair of prefix lengths. Where both prefixes of a table are as wide as the policy's
/// or wider, one lookup answers; only the narrower tables are walked.
/// </summary>
internal sealed class OverlapIndex<T>(Func<T, Policy> policyOf)
    where T : class
{
    private readonly Dictionary<(ushort Family, byte PrefixS, byte PrefixD), Dictionary<Key, Items>> _tables = [];

    public void Add(T item)
    {
        ref readonly XfrmSelector selector = ref policyOf(item).SelectorRef;
        (ushort, byte, byte) shape = (selector.Family, selector.PrefixlenS, selector.PrefixlenD);
        if (!_tables.TryGetValue(shape, out Dictionary<Key, Items>? table))
        {
            _tables[shape] = table = [];
        }
        CollectionsMarshal.GetValueRefOrAddDefault(table, new Key(selector, selector.PrefixlenS, selector.PrefixlenD), out _).Add(item);
    }

    public void Remove(T item)
    {
        ref readonly XfrmSelector selector = ref policyOf(item).SelectorRef;
        (ushort, byte, byte) shape = (selector.Family, selector.PrefixlenS, selector.PrefixlenD);
        Dictionary<Key, Items> table = _tables[shape];
        Key key = new(selector, selector.PrefixlenS, selector.PrefixlenD);
        ref Items items = ref CollectionsMarshal.GetValueRefOrNullRef(table, key);
        if (items.Remove(item) && table.Remove(key) && table.Count == 0)
        {
            _tables.Remove(shape);
        }
    }

    public IEnumerable<T> Overlapping(Policy policy)
    {
        XfrmSelector selector = policy.Selector;
        foreach ((var shape, Dictionary<Key, Items> table) in _tables)
        {
            if (shape.Family != selector.Family)
            {
                continue;
            }
            IEnumerable<T> candidates = shape.PrefixS <= selector.PrefixlenS && shape.PrefixD <= selector.PrefixlenD
                ? table.GetValueOrDefault(new Key(selector, shape.PrefixS, shape.PrefixD)).All
                : table.Values.SelectMany(items => items.All);
            foreach (T candidate in candidates)
            {
                if (PolicyOrder.Overlap(policy, policyOf(candidate)))
                {
                    yield return candidate;
                }
            }
        }
    }

    private readonly record struct Key(XfrmAddress Saddr, XfrmAddress Daddr)
    {
        public Key(in XfrmSelector selector, byte prefixS, byte prefixD)
            : this(selector.Saddr.Masked(prefixS, selector.Family), selector.Daddr.Masked(prefixD, selector.Family))
        {
        }

        public override int GetHashCode() => (Daddr.GetHashCode() * 31) ^ Saddr.GetHashCode();
    }

    /// <summary>Mostly one: only more of them need a list.</summary>
    private struct Items
    {
        private object? _items;

        public readonly IEnumerable<T> All => _items switch
        {
            null => [],
            List<T> many => many,
            _ => [(T)_items],
        };

        public void Add(T item) => _items = _items switch
        {
            null => item,
            List<T> many => Appended(many, item),
            _ => new List<T> { (T)_items, item },
        };

        /// <summary>True where none is left.</summary>
        public bool Remove(T item)
        {
            if (_items is not List<T> many)
            {
                return _items == item;
            }
            many.Remove(item);
            return many.Count == 0;
        }

        private static List<T> Appended(List<T> many, T item)
        {
            many.Add(item);
            return many;
        }
    }
}
