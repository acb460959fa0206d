using Xfrmd.Kernel;
using Xfrmd.Linux;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// The rules for ICMP errors that leave: an out policy with XFRM_POLICY_ICMP covers them by the packet that they quote, turned round
/// (<c>icmp_route_lookup</c>, <c>xfrm_out_fwd_icmp</c>). Whatever may be meant goes into the TUN, where the SPD is asked in full.
/// </summary>
internal sealed class QuotedErrors
{
    private readonly NetfilterPolicyChain _rules;
    private readonly Dictionary<(SteeringVerdict, SelectorShape), RuleGroup> _groups = [];
    private readonly Dictionary<Policy, (RuleGroup Group, SelectorKey Key)> _members = [];

    public QuotedErrors(NetfilterBatch batch, SteeringMarks marks) =>
        _rules = new NetfilterPolicyChain(batch, marks, new NetfilterPolicyChain.Place(NetfilterBaseRules.Errors, PolicyChainKind.Out, null));

    /// <param name="policy">Any policy.</param>
    /// <param name="verdict">What becomes of packets that it covers; null: it is not shown.</param>
    public void Insert(Policy policy, SteeringVerdict? verdict)
    {
        if (policy.Direction != PolicyDirection.Out || (policy.Flags & PolicyFlags.Icmp) == 0 || verdict is not { Action: SteeringAction.Protect } protect)
        {
            return;
        }
        (SelectorShape shape, SelectorKey key) = SelectorExpansion.ExpandQuoted(policy);
        if (!_groups.TryGetValue((protect, shape), out RuleGroup? group))
        {
            _groups[(protect, shape)] = group = new RuleGroup(protect, shape);
            _rules.AddGroup(group, behind: null);
        }
        if (group.AddReference(key))
        {
            _rules.AddKey(group, key);
        }
        _members[policy] = (group, key);
    }

    public void Remove(IReadOnlyList<Policy> policies)
    {
        for (int i = 0; i < policies.Count && _members.Count > 0; i++)
        {
            if (!_members.Remove(policies[i], out (RuleGroup Group, SelectorKey Key) member) || !member.Group.DropReference(member.Key))
            {
                continue;
            }
            if (!member.Group.IsEmpty)
            {
                _rules.RemoveKey(member.Group, member.Key);
            }
            else
            {
                _groups.Remove((member.Group.Verdict, member.Group.Shape));
                _rules.RemoveGroup(member.Group);
            }
        }
    }

    public bool TakeHandle(uint id, ulong handle) => _rules.TakeHandle(id, handle);
}
