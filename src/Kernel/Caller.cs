namespace Xfrmd.Kernel;

/// <summary>The program behind a call.</summary>
public readonly struct Caller
{
    private readonly Func<bool>? _ask;
    private readonly bool _netAdmin;

    public Caller(int tgid, bool netAdmin) => (Tgid, _netAdmin) = (tgid, netAdmin);

    /// <summary>The same where the right is asked for only if it matters, which few calls do; not to be kept beyond the call.</summary>
    public Caller(int tgid, Func<bool> netAdmin) => (Tgid, _ask) = (tgid, netAdmin);

    /// <summary>Its thread group id as it sees it itself.</summary>
    public int Tgid { get; }

    /// <summary>Whether it has CAP_NET_ADMIN over its network namespace.</summary>
    public bool NetAdmin => _ask?.Invoke() ?? _netAdmin;
}
