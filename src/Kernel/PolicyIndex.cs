using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace Xfrmd.Kernel;

/// <summary>
/// The policies of one type and direction, found by flow: a table per pair of prefix lengths, keyed by the masked addresses. A lookup asks
/// each table once, so its cost grows with the number of different prefix pairs, not of policies. Readers take no lock; writers come one
/// at a time under <see cref="XfrmNamespace.Gate"/>.
/// </summary>
internal sealed class PolicyIndex
{
    private volatile Table[] _tables = [];

    public int Count { get; private set; }

    /// <summary>
    /// The matching policy of the lowest priority value; null if none (<c>xfrm_policy_lookup_bytype</c>). Of equals in one of Linux's lists the
    /// one that stands first in it wins, and of those that win in different lists the oldest.
    /// </summary>
    public Policy? Find(in Flow flow)
    {
        Winners winners = default;
        foreach (Table table in _tables)
        {
            if (table.Family == flow.Family && table.Entries.TryGetValue(table.KeyOf(flow.Daddr, flow.Saddr), out Policy[]? policies))
            {
                foreach (Policy policy in policies)
                {
                    ref Policy? first = ref winners[(int)policy.List];
                    if (first is not null && !Precedes(policy, first))
                    {
                        break;
                    }
                    if (policy.Matches(flow) && !policy.IsDead)
                    {
                        first = policy;
                        break;
                    }
                }
            }
        }
        Policy? best = null;
        foreach (Policy? policy in winners)
        {
            // __xfrm_policy_eval_candidates
            if (policy is not null
                && (best is null || policy.Priority < best.Priority || (policy.Priority == best.Priority && policy.Position < best.Position)))
            {
                best = policy;
            }
        }
        return best;
    }

    /// <summary>Inserts a policy; in the same step takes <paramref name="replaced"/> (same selector) out.</summary>
    public void Insert(Policy policy, Policy? replaced)
    {
        Table table = TableFor(policy);
        Key key = table.KeyOf(policy.Selector.Daddr, policy.Selector.Saddr);
        if (table.Entries.TryAdd(key, [policy]))
        {
            Count++;
            return;
        }
        Policy[] present = table.Entries[key];
        if (replaced is not null && Array.IndexOf(present, replaced) is >= 0 and int gone)
        {
            present = [.. present.AsSpan(0, gone), .. present.AsSpan(gone + 1)];
            Count--;
        }
        int at = ~Array.BinarySearch(present, policy, ByPrecedence);
        table.Entries[key] = [.. present.AsSpan(0, at), policy, .. present.AsSpan(at)];
        Count++;
    }

    public void Remove(Policy policy)
    {
        Table table = TableFor(policy);
        Key key = table.KeyOf(policy.Selector.Daddr, policy.Selector.Saddr);
        if (!table.Entries.TryGetValue(key, out Policy[]? present) || !present.Contains(policy))
        {
            return;
        }
        Count--;
        if (present.Length > 1)
        {
            table.Entries[key] = [.. present.Where(p => p != policy)];
            return;
        }
        table.Entries.TryRemove(key, out _);
        if (table.Entries.IsEmpty)
        {
            _tables = [.. _tables.Where(t => t != table)];
        }
    }

    private static readonly Comparer<Policy> ByPrecedence = Comparer<Policy>.Create(static (a, b) => Precedes(a, b) ? -1 : Precedes(b, a) ? 1 : 0);

    // Within a list.
    private static bool Precedes(Policy a, Policy b) => a.Priority != b.Priority ? a.Priority < b.Priority : a.Place < b.Place;

    private Table TableFor(Policy policy)
    {
        (ushort family, byte d, byte s) = (policy.Selector.Family, policy.Selector.PrefixlenD, policy.Selector.PrefixlenS);
        foreach (Table table in _tables)
        {
            if (table.Family == family && table.PrefixD == d && table.PrefixS == s)
            {
                return table;
            }
        }
        Table added = new(family, d, s);
        _tables = [.. _tables, added];
        return added;
    }

    private readonly record struct Key(XfrmAddress Daddr, XfrmAddress Saddr)
    {
        public override int GetHashCode() => (Daddr.GetHashCode() * 31) ^ Saddr.GetHashCode();
    }

    private sealed class Table(ushort family, byte prefixD, byte prefixS)
    {
        public ushort Family { get; } = family;
        public byte PrefixD { get; } = prefixD;
        public byte PrefixS { get; } = prefixS;
        public ConcurrentDictionary<Key, Policy[]> Entries { get; } = new(concurrencyLevel: 1, capacity: 7);
        public Key KeyOf(in XfrmAddress daddr, in XfrmAddress saddr) => new(daddr.Masked(PrefixD, Family), saddr.Masked(PrefixS, Family));
    }

    [InlineArray((int)PolicyList.Count)]
    private struct Winners
    {
        private Policy? _first;
    }
}
