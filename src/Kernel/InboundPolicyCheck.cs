namespace Xfrmd.Kernel;

/// <summary>
/// Whether a packet may go on after the transforms that it came through: <c>__xfrm_policy_check</c>. Pure; the caller counts.
/// </summary>
public static class InboundPolicyCheck
{
    /// <summary>Checks one packet.</summary>
    /// <param name="space">The namespace.</param>
    /// <param name="flow">The inner packet's flow.</param>
    /// <param name="direction">In for packets to this host, Fwd for others.</param>
    /// <param name="path">The SAs in the order in which they were applied (outermost first): <c>sec_path</c>.</param>
    /// <param name="embedded">The flow of the packet inside an ICMP error, reversed; null for all others.</param>
    /// <param name="counter">Why it must be dropped; null where Linux counts nothing.</param>
    /// <returns>Whether the packet passes.</returns>
    public static bool Allows(XfrmNamespace space, in Flow flow, PolicyDirection direction, ReadOnlySpan<SecurityAssociation> path, Flow? embedded, out XfrmCounter? counter)
    {
        counter = null;
        for (int i = path.Length - 1; i >= 0; i--)
        {
            SecurityAssociation sa = path[i];
            if (!SelectorAccepts(sa, flow) && !((sa.Flags & SaFlags.Icmp) != 0 && embedded is { } inner && SelectorAccepts(sa, inner)))
            {
                counter = XfrmCounter.InStateMismatch;
                return false;
            }
        }
        Policy? policy = space.Spd.Find(flow, direction);
        if (policy is null && direction == PolicyDirection.Fwd && embedded is { } quoted)
        {
            policy = space.Spd.Find(quoted, direction);
        }
        if (policy is null)
        {
            return AllowsWithout(space, direction, path, out counter);
        }
        ulong now = space.WallSeconds;
        policy.MarkUsed(now);
        Policy? main = null;
        if (policy.Type == PolicyType.Sub && policy.Action == PolicyAction.Allow)
        {
            // Linux asks for direction IN here whatever the check is for.
            main = space.Spd.Find(flow, PolicyDirection.In, PolicyType.Main);
            main?.MarkUsed(now);
        }
        if (policy.Action == PolicyAction.Block || main?.Action == PolicyAction.Block)
        {
            counter = XfrmCounter.InPolBlock;
            return false;
        }
        if (policy.TemplateArray.Length + (main?.TemplateArray.Length ?? 0) >= SecurityAssociation.MaxDepth)
        {
            counter = XfrmCounter.InBufferError;
            return false;
        }
        int next = 0;
        bool fits = main is not null && flow.Family == AddressFamily.Inet6
            ? ConsumeSorted(policy, main, path, ref next)
            : (main is null || Consume(main, path, ref next, policy.IfId)) && Consume(policy, path, ref next, policy.IfId);
        if (!fits || HasTunnel(path[next..]))
        {
            counter = XfrmCounter.InTmplMismatch;
            return false;
        }
        return true;
    }

    private static bool AllowsWithout(XfrmNamespace space, PolicyDirection direction, ReadOnlySpan<SecurityAssociation> path, out XfrmCounter? counter)
    {
        counter = null;
        if (space.Spd.Default(direction) == PolicyAction.Block)
        {
            counter = XfrmCounter.InNoPols;
            return false;
        }
        if (HasTunnel(path))
        {
            counter = XfrmCounter.InNoPols;
            return false;
        }
        return true;
    }

    // The templates are walked last to first: the outermost is checked first, and path[0] is the outermost SA.
    private static bool Consume(Policy policy, ReadOnlySpan<SecurityAssociation> path, ref int next, uint ifId)
    {
        for (int i = policy.TemplateArray.Length - 1; i >= 0; i--)
        {
            if (!TryConsume(policy.TemplateArray[i], policy.AcceptsAllAlgorithms, path, ref next, ifId))
            {
                return false;
            }
        }
        return true;
    }

    // xfrm_tmpl_sort, for IPv6 where there are two policies
    private static bool ConsumeSorted(Policy policy, Policy main, ReadOnlySpan<SecurityAssociation> path, ref int next)
    {
        var templates = policy.Templates.Select(t => (Template: t, Owner: policy)).Concat(main.Templates.Select(t => (Template: t, Owner: main)));
        foreach ((PolicyTemplate template, Policy owner) in templates.OrderBy(t => TemplateOrder(t.Template)).Reverse())
        {
            if (!TryConsume(template, owner.AcceptsAllAlgorithms, path, ref next, policy.IfId))
            {
                return false;
            }
        }
        return true;
    }

    /// <summary><c>__xfrm6_tmpl_sort_cmp</c>.</summary>
    private static int TemplateOrder(in PolicyTemplate template) => template.Mode switch
    {
        XfrmMode.Transport => 1,
        XfrmMode.RouteOptimization or XfrmMode.InTrigger => 2,
        XfrmMode.Tunnel or XfrmMode.Beet or XfrmMode.Iptfs => 3,
        _ => 4,
    };

    // xfrm_policy_ok
    private static bool TryConsume(in PolicyTemplate template, bool allAlgorithms, ReadOnlySpan<SecurityAssociation> path, ref int next, uint ifId)
    {
        if (template.IsOptional && template.Mode == XfrmMode.Transport)
        {
            return true;
        }
        for (int i = next; i < path.Length; i++)
        {
            if (Fits(template, allAlgorithms, path[i], ifId))
            {
                next = i + 1;
                return true;
            }
            if (path[i].Mode != XfrmMode.Transport)
            {
                return template.IsOptional;
            }
        }
        return template.IsOptional;
    }

    /// <summary><c>xfrm_state_ok</c>; the SA behind an IPComp tunnel fits any optional template between its ends.</summary>
    public static bool Fits(in PolicyTemplate template, bool allAlgorithms, SecurityAssociation sa, uint ifId) => sa.IsInternalTunnel
        ? template.IsOptional && AddressesFit(template, sa)
        : sa.Id.Proto == template.Id.Proto
        && (sa.Id.Spi == template.Id.Spi || template.Id.Spi.Raw == 0)
        && (sa.Reqid == template.Reqid || template.Reqid == 0)
        && sa.Mode == template.Mode
        && (allAlgorithms || template.AllAlgorithms || (template.Aalgos & (1u << (sa.AuthId & 31))) != 0 || !IpProtocol.Matches(template.Id.Proto, IpProtocol.IpsecAny))
        && (sa.Mode == XfrmMode.Transport || AddressesFit(template, sa))
        && (ifId == 0 || ifId == sa.IfId);

    private static bool AddressesFit(in PolicyTemplate template, SecurityAssociation sa) =>
        template.Family == sa.Family
        && (sa.Id.Daddr.Equals(template.Id.Daddr, sa.Family) || template.Id.Daddr.IsAny(sa.Family))
        && (sa.Saddr.Equals(template.Saddr, sa.Family) || template.Saddr.IsAny(sa.Family));

    /// <summary>The SA's own selector takes the inner flow.</summary>
    public static bool SelectorAccepts(SecurityAssociation sa, in Flow flow) =>
        sa.Selector.Family == 0 || (sa.Selector.Family == flow.Family && sa.Selector.Matches(flow, flow.Family));

    private static bool HasTunnel(ReadOnlySpan<SecurityAssociation> path)
    {
        foreach (SecurityAssociation sa in path)
        {
            if (sa.Mode != XfrmMode.Transport)
            {
                return true;
            }
        }
        return false;
    }
}
