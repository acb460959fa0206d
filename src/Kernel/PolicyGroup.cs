namespace Xfrmd.Kernel;

/// <summary>The policies between the same two masked addresses, by precedence. Mostly one.</summary>
internal sealed class PolicyGroup(Policy policy)
{
    private volatile object _policies = policy;

    /// <summary>Leads on by addresses.</summary>
    internal HashLinks<PolicyGroup> Links;

    /// <summary>A <see cref="Policy"/>, or an array of several. A group that has lost its last one is in no table, and still shows it.</summary>
    public object Policies => _policies;

    public Policy First => _policies is var policies && policies is Policy one ? one : ((Policy[])policies)[0];

    public Policy[] ToArray() => _policies is var policies && policies is Policy one ? [one] : (Policy[])policies;

    public bool Contains(Policy policy) => _policies is var policies && policies is Policy one ? one == policy : Array.IndexOf((Policy[])policies, policy) >= 0;

    public void Set(Policy[] policies) => _policies = policies.Length == 1 ? policies[0] : policies;
}
