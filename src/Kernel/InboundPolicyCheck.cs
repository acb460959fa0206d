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
    /// <param name="verified">How many of them an earlier check found in order (<c>sec_path.verified_cnt</c>): a tunnel may lie in another that has a policy of its own.</param>
    /// <param name="counter">Why it must be dropped; null where Linux counts nothing.</param>
    /// <param name="ofSocket">The in policy of the socket that it is for, which goes before all others where it matches (<c>xfrm_sk_policy_lookup</c>).</param>
    /// <returns>Whether the packet passes.</returns>
    public static bool Allows(
        XfrmNamespace space, in Flow flow, PolicyDirection direction, ReadOnlySpan<SecurityAssociation> path, Flow? embedded, ref int verified, out XfrmCounter? counter, Policy? ofSocket = null)
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
        Policy? policy = ofSocket is not null && ofSocket.Matches(flow) ? ofSocket : space.Spd.Find(flow, direction);
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
        Walk walk = new(path, verified, flow.Family, policy.IfId);
        bool fits = main is not null && flow.Family == AddressFamily.Inet6
            ? walk.TryConsumeSorted(policy, main)
            : (main is null || walk.TryConsume(main)) && walk.TryConsume(policy);
        if (!fits || HasTunnel(path[walk.Next..]))
        {
            counter = XfrmCounter.InTmplMismatch;
            return false;
        }
        verified = walk.Next;
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

    /// <summary><c>xfrm_state_ok</c>; the SA behind an IPComp tunnel fits any optional template between its ends.</summary>
    /// <param name="template">Of the policy.</param>
    /// <param name="allAlgorithms">Its policy takes any.</param>
    /// <param name="sa">That the packet came through.</param>
    /// <param name="family">Of the inner packet: by it Linux compares the outer source, of an IPv6 tunnel around IPv4 so the first four bytes alone.</param>
    /// <param name="ifId">The policy's.</param>
    public static bool Fits(in PolicyTemplate template, bool allAlgorithms, SecurityAssociation sa, ushort family, uint ifId) => sa.IsInternalTunnel
        ? template.IsOptional && SourceFits(template, sa, template.Family)
        : sa.Id.Proto == template.Id.Proto
        && (sa.Id.Spi == template.Id.Spi || template.Id.Spi.Raw == 0)
        && (sa.Reqid == template.Reqid || template.Reqid == 0)
        && sa.Mode == template.Mode
        && (allAlgorithms || template.AllAlgorithms || (template.Aalgos & (1u << (sa.AuthId & 31))) != 0 || !IpProtocol.Matches(template.Id.Proto, IpProtocol.IpsecAny))
        && (sa.Mode == XfrmMode.Transport || SourceFits(template, sa, family))
        && (ifId == 0 || ifId == sa.IfId);

    /// <summary><c>xfrm_state_addr_cmp</c>: the destination was the SA's key.</summary>
    private static bool SourceFits(in PolicyTemplate template, SecurityAssociation sa, ushort family) =>
        sa.Saddr.Equals(template.Saddr, family) || template.Saddr.IsAny(family);

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

    /// <summary>The way of the templates along the SAs. They are walked last to first: the outermost is checked first, and the first SA is the outermost.</summary>
    private ref struct Walk(ReadOnlySpan<SecurityAssociation> path, int verified, ushort family, uint ifId)
    {
        private readonly ReadOnlySpan<SecurityAssociation> _path = path;

        /// <summary>Behind the last SA that a template asked for.</summary>
        public int Next { get; private set; }

        public bool TryConsume(Policy policy)
        {
            for (int i = policy.TemplateArray.Length - 1; i >= 0; i--)
            {
                if (!TryConsume(policy.TemplateArray[i], policy.AcceptsAllAlgorithms))
                {
                    return false;
                }
            }
            return true;
        }

        /// <summary><c>xfrm_tmpl_sort</c>, for IPv6 where there are two policies.</summary>
        public bool TryConsumeSorted(Policy policy, Policy main)
        {
            var templates = policy.Templates.Select(t => (Template: t, Owner: policy)).Concat(main.Templates.Select(t => (Template: t, Owner: main)));
            foreach ((PolicyTemplate template, Policy owner) in templates.OrderBy(t => Order(t.Template)).Reverse())
            {
                if (!TryConsume(template, owner.AcceptsAllAlgorithms))
                {
                    return false;
                }
            }
            return true;
        }

        /// <summary><c>__xfrm6_tmpl_sort_cmp</c>.</summary>
        private static int Order(in PolicyTemplate template) => template.Mode switch
        {
            XfrmMode.Transport => 1,
            XfrmMode.RouteOptimization or XfrmMode.InTrigger => 2,
            XfrmMode.Tunnel or XfrmMode.Beet or XfrmMode.Iptfs => 3,
            _ => 4,
        };

        // xfrm_policy_ok
        private bool TryConsume(in PolicyTemplate template, bool allAlgorithms)
        {
            if (template.IsOptional && template.Mode == XfrmMode.Transport)
            {
                return true;
            }
            for (int i = Next; i < _path.Length; i++)
            {
                if (Fits(template, allAlgorithms, _path[i], family, ifId))
                {
                    Next = i + 1;
                    return true;
                }
                if (_path[i].Mode != XfrmMode.Transport && i >= verified)
                {
                    return template.IsOptional;
                }
            }
            return template.IsOptional;
        }
    }
}
