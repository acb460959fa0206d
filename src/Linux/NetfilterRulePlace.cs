namespace Xfrmd.Linux;

/// <summary>Where a rule goes in its chain.</summary>
public readonly record struct NetfilterRulePlace(bool IsFirst, ulong BehindHandle, uint BehindId)
{
    public static readonly NetfilterRulePlace First = new(true, 0, 0), Last;

    public static NetfilterRulePlace Behind(ulong handle, uint id) => new(false, handle, handle != 0 ? 0 : id);
}
