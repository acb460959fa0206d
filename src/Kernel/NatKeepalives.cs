namespace Xfrmd.Kernel;

/// <summary>
/// Keeps the way through a NAT open for SAs with XFRMA_NAT_KEEPALIVE_INTERVAL: net/xfrm/xfrm_nat_keepalive.c. Under
/// <see cref="XfrmNamespace.Gate"/>.
/// </summary>
internal sealed class NatKeepalives(XfrmNamespace space)
{
    private readonly LinkedList<SecurityAssociation> _sas = new();

    /// <summary><c>xfrm_nat_keepalive_state_updated</c>: one look at all of them is due, unless one is due already, be it later.</summary>
    public void Add(SecurityAssociation sa)
    {
        if (sa.NatKeepaliveInterval != 0)
        {
            sa.KeepaliveNode = _sas.AddFirst(sa);
            space.Timers.ArmKeepalives(0);
        }
    }

    public void Remove(SecurityAssociation sa)
    {
        if (sa.KeepaliveNode is { } node)
        {
            _sas.Remove(node);
            sa.KeepaliveNode = null;
            space.Timers.ArmKeepalives(0);
        }
    }

    /// <summary><c>nat_keepalive_work</c>.</summary>
    public void Run()
    {
        ulong now = space.WallSeconds, next = ulong.MaxValue;
        foreach (SecurityAssociation sa in _sas)
        {
            next = Math.Min(next, RunOne(sa, now));
        }
        if (next != ulong.MaxValue)
        {
            space.Timers.ArmKeepalives(next - now);
        }
    }

    // nat_keepalive_work_single: when a keepalive was sent is noted nowhere, so each look sends one, whatever it was for.
    private ulong RunOne(SecurityAssociation sa, ulong now)
    {
        uint interval = sa.NatKeepaliveInterval, idle = unchecked((uint)(now - sa.LastUsed));
        if (idle < interval)
        {
            return sa.KeepaliveExpiration = now + interval - idle;
        }
        if (sa.KeepaliveExpiration > now)
        {
            return sa.KeepaliveExpiration;
        }
        space.SendKeepalive(sa);
        return now + interval;
    }
}
