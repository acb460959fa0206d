namespace Xfrmd.Kernel;

/// <summary>
/// Security policy database. Mirrors <c>net/xfrm/xfrm_policy.c</c>. Lookups may come from any thread; everything else comes under
/// <see cref="XfrmNamespace.Gate"/>.
/// </summary>
public sealed class Spd
{
    private const int Directions = 3;
    private readonly XfrmNamespace _space;
    private volatile PolicyIndex[] _indexes = [.. Enumerable.Range(0, 2 * Directions).Select(_ => new PolicyIndex())];
    private readonly HashTable<Policy, Identity> _byIdentity = new();
    private readonly HashTable<Policy, ByIndex> _byIndex = new();
    private readonly DatabaseList<Policy> _all = new();
    private readonly int[] _socketCounts = new int[Directions];
    private readonly PolicyAction[] _defaults = new PolicyAction[Directions];
    private volatile PoliciesOfSocket[] _socketPolicies = [];
    private uint _indexGenerator;
    private ulong _position;

    internal Spd(XfrmNamespace space) => _space = space;

    /// <summary>Hash thresholds (XFRMA_SPD_IPV4_HTHRESH …): of equal policies they decide which wins; our index does not need them otherwise.</summary>
    public (byte Local, byte Remote) Ipv4Threshold { get; private set; } = (32, 32);
    public (byte Local, byte Remote) Ipv6Threshold { get; private set; } = (128, 128);

    /// <summary>Sets the thresholds and sorts all policies anew, by age (<c>xfrm_hash_rebuild</c>, which does it somewhat later).</summary>
    public void SetThresholds((byte Local, byte Remote) ipv4, (byte Local, byte Remote) ipv6)
    {
        (Ipv4Threshold, Ipv6Threshold) = (ipv4, ipv6);
        PolicyIndex[] sorted = [.. _indexes.Select(static _ => new PolicyIndex())];
        bool reordered = false;
        foreach (Policy policy in All.Where(static p => !p.IsSocketPolicy))
        {
            PolicyList list = ListOf(policy);
            reordered |= policy.Place != policy.Position || policy.List != list;
            policy.Place = policy.Position;
            policy.List = list;
            sorted[At(policy.Type, policy.Direction)].Insert(policy, null);
        }
        // Packets are looked up meanwhile: in the old ones or in the new ones, never in empty ones.
        _indexes = sorted;
        _space.BumpGeneration();
        if (reordered)
        {
            _space.Observers.PoliciesReordered();
        }
    }

    /// <summary>What happens where no policy matches (XFRM_MSG_SETDEFAULT): <c>net->xfrm.policy_default</c>.</summary>
    public PolicyAction Default(PolicyDirection direction) => _defaults[(int)direction];

    public void SetDefault(PolicyDirection direction, PolicyAction action)
    {
        _defaults[(int)direction] = action;
        _space.BumpGeneration();
        _space.Observers.DefaultPolicyChanged();
    }

    public int Count(PolicyDirection direction) => Index(PolicyType.Main, direction).Count + Index(PolicyType.Sub, direction).Count;

    public int SocketPolicyCount(PolicyDirection direction) => _socketCounts[(int)direction];

    public int Total => _byIndex.Count;

    /// <summary>Buckets less one that Linux would have by now (XFRMA_SPD_HINFO): it doubles when there are more policies, and never shrinks.</summary>
    public uint HashMask { get; private set; } = 7;

    /// <summary>The winning policy for a flow, without those of sockets: SUB before MAIN. Lock-free.</summary>
    public Policy? Find(in Flow flow, PolicyDirection direction) =>
        Index(PolicyType.Sub, direction).Find(flow) ?? Index(PolicyType.Main, direction).Find(flow);

    /// <summary>
    /// The same for a packet of which only the mark of the policy is known that it matched first: with any other, a policy that asks for another
    /// mark would have matched before. Where that policy has just gone, what the flow's mark says.
    /// </summary>
    public Policy? Find(in Flow flow, PolicyDirection direction, XfrmMark? steeredBy) =>
        steeredBy is { } mark && (Index(PolicyType.Sub, direction).Find(flow, mark) ?? Index(PolicyType.Main, direction).Find(flow, mark)) is { } policy
            ? policy
            : Find(flow, direction);

    public Policy? Find(in Flow flow, PolicyDirection direction, PolicyType type) => Index(type, direction).Find(flow);

    /// <summary><c>xfrm_policy_insert</c>.</summary>
    /// <param name="policy">The policy; it gets its index, position and add time here.</param>
    /// <param name="exclusive">Refuse with EEXIST where one with the same identity stands (NEWPOLICY).</param>
    public Outcome Insert(Policy policy, bool exclusive)
    {
        Policy? replaced = Find(new Identity(policy));
        if (replaced is not null && exclusive)
        {
            return Errno.EEXIST;
        }
        policy.Index = replaced?.Index ?? NewIndex((uint)policy.Direction, policy.Index);
        policy.Position = ++_position;
        policy.Place = replaced?.Priority == policy.Priority ? replaced.Place : policy.Position;
        policy.List = ListOf(policy);
        policy.AddTime = _space.WallSeconds;
        policy.InsertedAt = _space.Time.GetTimestamp();
        _all.AddFirst(policy);
        Index(policy.Type, policy.Direction).Insert(policy, replaced);
        if (replaced is not null)
        {
            _byIdentity.Remove(replaced);
            _byIndex.Remove(replaced);
        }
        _byIdentity.Add(policy);
        _byIndex.Add(policy);
        if (_byIndex.Count > HashMask && HashMask < (1 << 20) - 1)
        {
            HashMask = (HashMask << 1) | 1;
        }
        if (replaced is not null)
        {
            replaced.Kill();
            DatabaseList<Policy>.Remove(replaced);
            _space.Timers.Disarm(replaced);
        }
        _space.Timers.ArmPolicy(policy);
        _space.BumpGeneration();
        _space.Observers.PolicyInserted(policy, replaced);
        return Outcome.Ok;
    }

    /// <summary><c>xfrm_policy_bysel_ctx</c> without removal: identity match.</summary>
    public Policy? Get(PolicyType type, PolicyDirection direction, in XfrmSelector selector, XfrmMark mark, uint ifId) =>
        Find(new Identity(type, direction, ifId, selector, mark));

    /// <summary><c>xfrm_policy_byid</c> without removal. Socket policies are found too.</summary>
    public Policy? GetByIndex(PolicyType type, PolicyDirection direction, uint index, XfrmMark mark, uint ifId) =>
        (index & 7) == (uint)direction && GetByIndex(index) is { } policy
            && policy.Type == type && policy.IfId == ifId && policy.Mark == mark ? policy : null;

    /// <summary>Any policy with that index, whatever its mark, type and if_id (PF_KEY's X_SPDGET and X_SPDDELETE2 give no more).</summary>
    public Policy? GetByIndex(uint index)
    {
        HashTable<Policy, ByIndex>.Chains chains = _byIndex.Current;
        Policy? found = chains.First(ByIndex.Hash(index));
        while (found is not null && found.Index != index)
        {
            found = chains.Next(found);
        }
        return found;
    }

    /// <summary><c>xfrm_policy_delete</c>. False where it had gone already.</summary>
    public bool Delete(Policy policy)
    {
        if (!Unlink(policy))
        {
            return false;
        }
        _space.BumpGeneration();
        _space.Observers.PoliciesRemoved([policy]);
        return true;
    }

    /// <summary>Gives a policy other tunnel ends (<see cref="Migration"/>).</summary>
    internal void ReplaceTemplates(Policy policy, PolicyTemplate[] templates)
    {
        policy.ReplaceTemplates(templates);
        _space.BumpGeneration();
    }

    /// <summary><c>xfrm_policy_flush</c>: all policies of a type, not those of sockets. Returns how many went.</summary>
    public int Flush(PolicyType type)
    {
        Policy[] removed = [.. All.Where(p => p.Type == type && !p.IsSocketPolicy)];
        bool wholly = removed.Length == _byIdentity.Count, allIndexes = removed.Length == _byIndex.Count;
        foreach (Policy policy in removed)
        {
            policy.Kill();
            DatabaseList<Policy>.Remove(policy);
            _space.Timers.Disarm(policy);
            if (!wholly)
            {
                _byIdentity.Remove(policy);
            }
            if (!allIndexes)
            {
                _byIndex.Remove(policy);
            }
        }
        if (wholly)
        {
            _byIdentity.Clear();
        }
        if (allIndexes)
        {
            _byIndex.Clear();
        }
        // Who looks up meanwhile finds them dead, or no more.
        _indexes = [.. _indexes.Select((index, at) => at / Directions == (int)type ? new PolicyIndex() : index)];
        if (removed.Length > 0)
        {
            _space.BumpGeneration();
            _space.Observers.PoliciesRemoved(removed);
        }
        return removed.Length;
    }

    /// <summary>A walk over all policies, newest first, that stays correct while the database changes (<c>xfrm_policy_walk</c>).</summary>
    public DatabaseWalk<Policy> Walk() => new(_all);

    /// <summary>All policies in the order in which they are tried, for steering and for people.</summary>
    public IReadOnlyList<Policy> Ordered(PolicyDirection direction) =>
        [.. All.Where(p => p.Direction == direction && !p.IsSocketPolicy)
            .OrderByDescending(p => p.Type).ThenBy(p => p.Priority).ThenBy(p => p.Position)];

    /// <summary>The policies of a socket.</summary>
    public (Policy? In, Policy? Out) SocketPolicies(ulong socketInode) =>
        _socketPolicies.FirstOrDefault(s => s.Inode == socketInode) is { } present ? (present.In, present.Out) : default;

    /// <summary>Sets or removes (null) a socket's policy for one direction (<c>xfrm_sk_policy_insert</c>).</summary>
    public void SetSocketPolicy(ulong socketInode, PolicyDirection direction, Policy? policy)
    {
        PoliciesOfSocket? present = _socketPolicies.FirstOrDefault(s => s.Inode == socketInode);
        Policy? old = direction == PolicyDirection.In ? present?.In : present?.Out;
        if (old is not null)
        {
            old.Kill();
            _byIndex.Remove(old);
            DatabaseList<Policy>.Remove(old);
            _socketCounts[(int)direction]--;
        }
        if (policy is not null)
        {
            // xfrm_sk_policy_insert: XFRM_POLICY_MAX + dir is the direction part of the index.
            policy.Index = NewIndex((uint)direction + Directions, 0);
            policy.Position = ++_position;
            policy.AddTime = _space.WallSeconds;
            _all.AddFirst(policy);
            _byIndex.Add(policy);
            _socketCounts[(int)direction]++;
        }
        PoliciesOfSocket next = new(socketInode,
            direction == PolicyDirection.In ? policy : present?.In,
            direction == PolicyDirection.Out ? policy : present?.Out);
        _socketPolicies = [.. _socketPolicies.Where(s => s.Inode != socketInode), .. next.In is null && next.Out is null ? [] : new[] { next }];
        _space.BumpGeneration();
        _space.Observers.SocketPolicyChanged(socketInode, next.In, next.Out);
    }

    /// <summary>Policies of sockets that nobody has open any more go (<c>xfrm_sk_free_policy</c>). Nobody tells us, so who counts or lists policies asks.</summary>
    public void ForgetClosedSockets()
    {
        if (_socketPolicies.Length == 0)
        {
            return;
        }
        foreach (ulong inode in _space.ClosedSockets([.. _socketPolicies.Select(s => s.Inode)]))
        {
            SetSocketPolicy(inode, PolicyDirection.In, null);
            SetSocketPolicy(inode, PolicyDirection.Out, null);
        }
    }

    // policy_hash_bysel, xfrm_policy_inexact_alloc_chain
    private PolicyList ListOf(Policy policy)
    {
        bool ipv4 = policy.Selector.Family == AddressFamily.Inet;
        (byte local, byte remote) = ipv4 ? Ipv4Threshold : Ipv6Threshold;
        (byte d, byte s) = policy.Direction == PolicyDirection.Out ? (remote, local) : (local, remote);
        if (policy.Selector.PrefixlenD >= d && policy.Selector.PrefixlenS >= s)
        {
            return PolicyList.Exact;
        }
        // INEXACT_PREFIXLEN_IPV4, _IPV6
        int shortest = ipv4 ? 16 : 48;
        bool anyD = policy.Selector.PrefixlenD < shortest || policy.Selector.Daddr.IsAny(policy.Selector.Family);
        bool anyS = policy.Selector.PrefixlenS < shortest || policy.Selector.Saddr.IsAny(policy.Selector.Family);
        return anyD ? anyS ? PolicyList.Any : PolicyList.Saddr : anyS ? PolicyList.Daddr : PolicyList.Both;
    }

    private PolicyIndex Index(PolicyType type, PolicyDirection direction) => _indexes[At(type, direction)];

    private static int At(PolicyType type, PolicyDirection direction) => ((int)type * Directions) + (int)direction;

    private bool Unlink(Policy policy)
    {
        if (!policy.Kill())
        {
            return false;
        }
        if (!policy.IsSocketPolicy)
        {
            Index(policy.Type, policy.Direction).Remove(policy);
            _byIdentity.Remove(policy);
        }
        _byIndex.Remove(policy);
        DatabaseList<Policy>.Remove(policy);
        _space.Timers.Disarm(policy);
        return true;
    }

    // xfrm_gen_index: the wanted index where it is free, else the next of a counter in steps of 8.
    private uint NewIndex(uint direction, uint wanted)
    {
        if (wanted != 0 && GetByIndex(wanted) is null)
        {
            return wanted;
        }
        for (; ; )
        {
            uint index = _indexGenerator | direction;
            _indexGenerator += 8;
            if (index == 0)
            {
                index = 8;
            }
            if (GetByIndex(index) is null)
            {
                return index;
            }
        }
    }

    private IEnumerable<Policy> All
    {
        get
        {
            for (Policy? policy = _all.After(null); policy is not null; policy = _all.After(policy))
            {
                yield return policy;
            }
        }
    }

    private Policy? Find(in Identity identity)
    {
        HashTable<Policy, Identity>.Chains chains = _byIdentity.Current;
        Policy? found = chains.First(identity.Hash);
        while (found is not null && !identity.IsOf(found))
        {
            found = chains.Next(found);
        }
        return found;
    }

    private readonly record struct Identity(PolicyType Type, PolicyDirection Direction, uint IfId, XfrmSelector Selector, XfrmMark Mark) : IHashed<Policy>
    {
        public uint Hash => HashMix.Of(
            ((ulong)(uint)Selector.GetHashCode() << 32) | (IfId ^ Mark.V), ((ulong)Mark.M << 8) | ((uint)Type << 4) | (uint)Direction);

        public bool IsOf(Policy policy) =>
            Direction == policy.Direction && Type == policy.Type && IfId == policy.IfId && Mark == policy.Mark && Selector == policy.SelectorRef;

        public static ref HashLinks<Policy> LinksOf(Policy entry) => ref entry.IdentityLinks;

        public static uint HashOf(Policy entry) => new Identity(entry).Hash;

        public Identity(Policy policy) : this(policy.Type, policy.Direction, policy.IfId, policy.Selector, policy.Mark)
        {
        }
    }

    private readonly struct ByIndex : IHashed<Policy>
    {
        public static uint Hash(uint index) => HashMix.Of(index, 0);

        public static ref HashLinks<Policy> LinksOf(Policy entry) => ref entry.IndexLinks;

        public static uint HashOf(Policy entry) => Hash(entry.Index);
    }

    private sealed record PoliciesOfSocket(ulong Inode, Policy? In, Policy? Out);
}
