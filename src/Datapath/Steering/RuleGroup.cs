namespace Xfrmd.Datapath.Steering;

/// <summary>One rule, in each chain that shows the policies, and the hash table behind it: all policies of one verdict and one shape that one place in the order holds.</summary>
public sealed class RuleGroup(SteeringVerdict verdict, SelectorShape shape)
{
    private readonly Dictionary<SelectorKey, int> _references = [];

    public SteeringVerdict Verdict { get; } = verdict;

    public SelectorShape Shape { get; } = shape;

    public IReadOnlyCollection<SelectorKey> Keys => _references.Keys;

    public bool Contains(SelectorKey key) => _references.ContainsKey(key);

    /// <summary>The set's name in the kernel; empty where the shape has no key: the rule alone says all.</summary>
    public string SetName { get; set; } = "";

    /// <summary>The rule in each of its chains.</summary>
    internal Rule[] Rules { get; set; } = [];

    internal int SetKeyLength { get; } = shape.SetKeyLength;

    internal bool IsEmpty => _references.Count == 0;

    /// <summary>True where the key is new.</summary>
    internal bool AddReference(SelectorKey key)
    {
        ref int count = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(_references, key, out _);
        return ++count == 1;
    }

    /// <summary>True where nobody refers to the key any more.</summary>
    internal bool DropReference(SelectorKey key)
    {
        ref int count = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrNullRef(_references, key);
        if (--count > 0)
        {
            return false;
        }
        _references.Remove(key);
        return true;
    }

    /// <param name="Id">Its id in the transaction that added it.</param>
    /// <param name="Handle">Its handle, once the kernel has told it.</param>
    internal readonly record struct Rule(uint Id, ulong Handle);
}
