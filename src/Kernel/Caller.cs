namespace Xfrmd.Kernel;

/// <summary>The program behind a call.</summary>
public readonly struct Caller
{
    private const int CapNetBroadcast = 11, CapNetAdmin = 12;
    private readonly Func<int, bool>? _ask;
    private readonly bool _netAdmin;
    private readonly bool _netBroadcast;

    public Caller(int tgid, bool netAdmin, bool netBroadcast = false) => (Tgid, _netAdmin, _netBroadcast) = (tgid, netAdmin, netBroadcast);

    /// <summary>One whose rights are asked for only if they matter, which they do in few calls; not to be kept beyond the call.</summary>
    /// <param name="tgid">As it sees itself.</param>
    /// <param name="allows">Whether it has a capability (CAP_*) over its network namespace.</param>
    public Caller(int tgid, Func<int, bool> allows) => (Tgid, _ask) = (tgid, allows);

    /// <summary>Its thread group id as it sees it itself.</summary>
    public int Tgid { get; }

    /// <summary>Whether it has CAP_NET_ADMIN over its network namespace.</summary>
    public bool NetAdmin => _ask?.Invoke(CapNetAdmin) ?? _netAdmin;

    /// <summary>Whether it has CAP_NET_BROADCAST there.</summary>
    public bool NetBroadcast => _ask?.Invoke(CapNetBroadcast) ?? _netBroadcast;

    /// <summary>The same, its rights asked for now: it can be kept.</summary>
    public Caller Settled => new(Tgid, NetAdmin, NetBroadcast);
}
