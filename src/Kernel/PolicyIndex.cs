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
    /// <param name="flow">The flow.</param>
    /// <param name="only">Only policies of exactly this mark.</param>
    public Policy? Find(in Flow flow, XfrmMark? only = null)
    {
        Winners winners = default;
        foreach (Table table in _tables)
        {
            if (table.Family == flow.Family && table.Find(flow.Daddr, flow.Saddr) is { } group)
            {
                Choose(group, flow, only, ref winners);
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

    private static void Choose(PolicyGroup group, in Flow flow, XfrmMark? only, ref Winners winners)
    {
        object policies = group.Policies;
        if (policies is Policy one)
        {
            Beats(one, flow, only, ref winners);
            return;
        }
        foreach (Policy policy in (Policy[])policies)
        {
            if (Beats(policy, flow, only, ref winners))
            {
                return;
            }
        }
    }

    // True where those behind it in its group have nothing to win.
    private static bool Beats(Policy policy, in Flow flow, XfrmMark? only, ref Winners winners)
    {
        ref Policy? first = ref winners[(int)policy.List];
        if (first is not null && !Precedes(policy, first))
        {
            return true;
        }
        if (!policy.Matches(flow) || policy.IsDead || (only is { } mark && policy.Mark != mark))
        {
            return false;
        }
        first = policy;
        return true;
    }

    /// <summary>Inserts a policy; in the same step takes <paramref name="replaced"/> (same selector) out.</summary>
    public void Insert(Policy policy, Policy? replaced)
    {
        Table table = TableFor(policy);
        Count++;
        if (table.Find(policy.SelectorRef.Daddr, policy.SelectorRef.Saddr) is not { } group)
        {
            table.Groups.Add(new PolicyGroup(policy));
            return;
        }
        Policy[] present = group.ToArray();
        if (replaced is not null && Array.IndexOf(present, replaced) is >= 0 and int gone)
        {
            present = [.. present.AsSpan(0, gone), .. present.AsSpan(gone + 1)];
            Count--;
        }
        int at = ~Array.BinarySearch(present, policy, ByPrecedence);
        group.Set([.. present.AsSpan(0, at), policy, .. present.AsSpan(at)]);
    }

    public void Remove(Policy policy)
    {
        Table table = TableFor(policy);
        if (table.Find(policy.SelectorRef.Daddr, policy.SelectorRef.Saddr) is not { } group || !group.Contains(policy))
        {
            return;
        }
        Count--;
        if (group.Policies is not Policy)
        {
            group.Set([.. group.ToArray().Where(p => p != policy)]);
            return;
        }
        table.Groups.Remove(group);
        if (table.Groups.Count == 0)
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

    private sealed class Table(ushort family, byte prefixD, byte prefixS)
    {
        public ushort Family { get; } = family;
        public byte PrefixD { get; } = prefixD;
        public byte PrefixS { get; } = prefixS;
        public HashTable<PolicyGroup, Key> Groups { get; } = new();

        public PolicyGroup? Find(in XfrmAddress daddr, in XfrmAddress saddr)
        {
            Key key = new(daddr.Masked(PrefixD, Family), saddr.Masked(PrefixS, Family));
            uint hash = key.Hash;
            HashTable<PolicyGroup, Key>.Chains chains = Groups.Current;
            PolicyGroup? found;
            do
            {
                found = chains.First(hash);
                while (found is not null && !key.IsOf(found.First.SelectorRef))
                {
                    found = chains.Next(found);
                }
            }
            while (Groups.HasChanged(ref chains));
            return found;
        }
    }

    private readonly record struct Key(XfrmAddress Daddr, XfrmAddress Saddr) : IHashed<PolicyGroup>
    {
        public uint Hash => HashMix.Of((uint)Daddr.GetHashCode(), (uint)Saddr.GetHashCode());

        public bool IsOf(in XfrmSelector selector) =>
            Daddr == selector.Daddr.Masked(selector.PrefixlenD, selector.Family) && Saddr == selector.Saddr.Masked(selector.PrefixlenS, selector.Family);

        public static ref HashLinks<PolicyGroup> LinksOf(PolicyGroup entry) => ref entry.Links;

        public static uint HashOf(PolicyGroup entry)
        {
            ref readonly XfrmSelector selector = ref entry.First.SelectorRef;
            return new Key(selector.Daddr.Masked(selector.PrefixlenD, selector.Family), selector.Saddr.Masked(selector.PrefixlenS, selector.Family)).Hash;
        }
    }

    [InlineArray((int)PolicyList.Count)]
    private struct Winners
    {
        private Policy? _first;
    }
}
