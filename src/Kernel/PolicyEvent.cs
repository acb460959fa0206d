namespace Xfrmd.Kernel;

/// <summary><c>struct km_event</c> about a policy.</summary>
public readonly record struct PolicyEvent(PolicyEventKind Kind, Policy? Policy)
{
    public PolicyDirection Direction { get; init; }
    public PolicyType Type { get; init; }

    /// <summary>Delete: the request named the policy by its index.</summary>
    public bool ByIndex { get; init; }
    public bool Hard { get; init; }
    public uint Seq { get; init; }
    public uint PortId { get; init; }
}
