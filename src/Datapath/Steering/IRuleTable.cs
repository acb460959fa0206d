namespace Xfrmd.Datapath.Steering;

/// <summary>Where <see cref="PolicyLayers"/> writes: a chain of nf_tables, or a list in a test.</summary>
public interface IRuleTable
{
    /// <summary>A new rule with an empty set, behind another one or (null) before all.</summary>
    void AddGroup(RuleGroup group, RuleGroup? behind);

    void RemoveGroup(RuleGroup group);

    void AddKey(RuleGroup group, SelectorKey key);

    void RemoveKey(RuleGroup group, SelectorKey key);
}
