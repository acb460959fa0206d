namespace Xfrmd.Kernel;

/// <summary>The program behind a call.</summary>
public readonly struct Caller
{
    private const int CapNetBroadcast = 11, CapNetAdmin = 12;
    private readonly Func<ulong>? _ask;
    private readonly ulong _capabilities;

    public Caller(int tgid, bool netAdmin, bool netBroadcast = false) =>
        (Tgid, _capabilities) = (tgid, (netAdmin ? 1ul << CapNetAdmin : 0) | (netBroadcast ? 1ul << CapNetBroadcast : 0));

    /// <param name="tgid">As it sees itself.</param>
    /// <param name="capabilities">CAP_* over its network namespace, a bit each.</param>
    public Caller(int tgid, ulong capabilities) => (Tgid, _capabilities) = (tgid, capabilities);

    /// <summary>The same where the rights are asked for only if they matter, which they do in few calls; not to be kept beyond the call.</summary>
    public Caller(int tgid, Func<ulong> capabilities) => (Tgid, _ask) = (tgid, capabilities);

    /// <summary>Its thread group id as it sees it itself.</summary>
    public int Tgid { get; }

    /// <summary>Whether it has CAP_NET_ADMIN over its network namespace.</summary>
    public bool NetAdmin => Has(CapNetAdmin);

    /// <summary>Whether it has CAP_NET_BROADCAST there.</summary>
    public bool NetBroadcast => Has(CapNetBroadcast);

    private bool Has(int capability) => ((_ask?.Invoke() ?? _capabilities) >> capability & 1) != 0;
}
