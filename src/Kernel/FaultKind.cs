namespace Xfrmd.Kernel;

/// <summary>What a <see cref="FaultRule"/> does.</summary>
public enum FaultKind
{
    /// <summary>The request is refused, and changes nothing.</summary>
    Refuse,

    /// <summary>The request is done, but its answer does not come; the event is told to nobody.</summary>
    Lose,

    /// <summary>The request waits before it is looked at.</summary>
    Delay,
}
