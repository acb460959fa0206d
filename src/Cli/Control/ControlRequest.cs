namespace Xfrmd.Cli.Control;

/// <summary>What a command asks the daemon: one line of JSON on the control socket, answered with lines of JSON.</summary>
internal sealed record ControlRequest
{
    /// <summary>The command: status, stats, state, policy, keys, explain, drops, capture, flush, fault.</summary>
    public required string Command { get; init; }

    /// <summary>The network namespace that it is asked for (the number in <c>net:[N]</c>).</summary>
    public ulong Namespace { get; init; }

    /// <summary>Keys may be shown: only where the person asked for them.</summary>
    public bool ShowKeys { get; init; }

    /// <summary>explain: the flow.</summary>
    public ExplainQuery? Explain { get; init; }

    /// <summary>fault: all there are go first.</summary>
    public bool Clear { get; init; }

    /// <summary>fault: what is wanted (<see cref="FaultSpec"/>).</summary>
    public string[]? Faults { get; init; }

    /// <summary>capture: what is wanted.</summary>
    public CaptureQuery? Capture { get; init; }
}
