namespace Xfrmd.Kernel;

/// <summary>
/// From a flow to the SAs that protect it: <c>xfrm_lookup</c>, <c>xfrm_tmpl_resolve</c>. Lock-free but for <see cref="Acquire"/>.
/// </summary>
public sealed class PolicyResolver
{
    private readonly XfrmNamespace _space;

    internal PolicyResolver(XfrmNamespace space) => _space = space;

    /// <summary>Decides about one outbound flow; posts an ACQUIRE where an SA is missing.</summary>
    /// <param name="flow">The inner packet's flow; IfId is that of the device it came through.</param>
    /// <param name="cpu">The CPU that per-CPU SAs are chosen for.</param>
    /// <param name="probe">Only look: no ACQUIRE, no use time, no counter (xfrmd explain).</param>
    public OutboundDecision Resolve(in Flow flow, uint cpu = 0, bool probe = false)
    {
        int generation = _space.Generation;
        Policy? policy = _space.Spd.Find(flow, PolicyDirection.Out);
        if (policy is null)
        {
            return _space.Spd.Default(PolicyDirection.Out) == PolicyAction.Block
                ? new OutboundDecision { Action = OutboundAction.Drop, Errno = Errno.EPERM, Generation = generation }
                : new OutboundDecision { Action = OutboundAction.Bypass, Generation = generation };
        }
        Policy? main = null;
        if (policy.Type == PolicyType.Sub && policy.Action == PolicyAction.Allow)
        {
            main = _space.Spd.Find(flow, PolicyDirection.Out, PolicyType.Main);
        }
        if (policy.Action == PolicyAction.Block || main?.Action == PolicyAction.Block)
        {
            MarkUsed(policy, main, probe);
            return new OutboundDecision
            {
                Action = OutboundAction.Drop,
                Policy = policy,
                MainPolicy = main,
                Counter = XfrmCounter.OutPolBlock,
                Errno = Errno.EPERM,
                Generation = generation,
            };
        }
        List<SecurityAssociation> sas = [];
        foreach (Policy each in main is null ? new[] { policy } : [policy, main])
        {
            Verdict verdict = ResolveTemplates(each, flow, cpu, probe, sas);
            if (verdict.Errno != Errno.None)
            {
                return new OutboundDecision
                {
                    Action = verdict.Errno == Errno.EAGAIN ? OutboundAction.Pending : OutboundAction.Drop,
                    Policy = each,
                    MainPolicy = main,
                    Counter = verdict.Errno == Errno.EAGAIN ? XfrmCounter.OutNoStates : XfrmCounter.OutPolError,
                    Errno = verdict.Errno,
                    Generation = generation,
                };
            }
        }
        MarkUsed(policy, main, probe);
        return new OutboundDecision
        {
            Action = sas.Count == 0 ? OutboundAction.Bypass : OutboundAction.Transform,
            Policy = policy,
            MainPolicy = main,
            Sas = main is not null && flow.Family == AddressFamily.Inet6 ? [.. sas.OrderBy(StateOrder)] : [.. sas],
            Generation = generation,
        };
    }

    // A packet that found no SA has not used its policy (xfrm_lookup_with_ifid leaves before it notes the time).
    private void MarkUsed(Policy policy, Policy? main, bool probe)
    {
        if (!probe)
        {
            ulong now = _space.WallSeconds;
            policy.MarkUsed(now);
            main?.MarkUsed(now);
        }
    }

    /// <summary>Makes the larval SA for the first template of a policy that has none, and asks for it. Under the gate.</summary>
    public void Acquire(Policy policy, in Flow flow, uint? pcpu)
    {
        XfrmAddress daddr = flow.Daddr, saddr = flow.Saddr;
        foreach (ref readonly PolicyTemplate template in policy.TemplateArray.AsSpan())
        {
            if (!TryTunnelEnds(template, flow, daddr, saddr, out XfrmAddress remote, out XfrmAddress local))
            {
                return;
            }
            SaSearch search = _space.Sad.FindForTemplate(template, remote, local, flow, policy, pcpu ?? 0, out SecurityAssociation? sa);
            if (search == SaSearch.Found && (pcpu is null || sa!.Pcpu == pcpu))
            {
                (daddr, saddr) = (remote, local);
                continue;
            }
            if (search == SaSearch.Missing || (search == SaSearch.Found && pcpu is not null && !HasLarval(template, remote, local, policy, pcpu)))
            {
                _space.Sad.Acquire(template, remote, local, flow, policy, pcpu);
            }
            if (!template.IsOptional)
            {
                return;
            }
        }
    }

    private bool HasLarval(in PolicyTemplate template, in XfrmAddress remote, in XfrmAddress local, Policy policy, uint? pcpu) =>
        _space.Sad.FindLarval(policy.Mark, template.Family, template.Mode, template.Reqid, pcpu, template.Id.Proto, remote, local) is not null;

    // xfrm_tmpl_resolve, xfrm_tmpl_resolve_one
    private Verdict ResolveTemplates(Policy policy, in Flow flow, uint cpu, bool probe, List<SecurityAssociation> sas)
    {
        XfrmAddress daddr = flow.Daddr, saddr = flow.Saddr;
        // Templates count, whether or not there is an SA for each, and there is room for one less than a policy may have.
        if (sas.Count + policy.TemplateArray.Length >= SecurityAssociation.MaxDepth)
        {
            return new Verdict(Errno.ENOBUFS);
        }
        foreach (ref readonly PolicyTemplate template in policy.TemplateArray.AsSpan())
        {
            if (!TryTunnelEnds(template, flow, daddr, saddr, out XfrmAddress remote, out XfrmAddress local))
            {
                return new Verdict(Errno.EHOSTUNREACH);   // xfrm_get_saddr
            }
            SaSearch search = _space.Sad.FindForTemplate(template, remote, local, flow, policy, cpu, out SecurityAssociation? sa);
            if (search == SaSearch.Found)
            {
                if (sa!.Direction == SaDirection.In)
                {
                    if (!probe)
                    {
                        _space.Statistics.Increment(XfrmCounter.OutStateDirError);
                    }
                    return new Verdict(Errno.EINVAL);
                }
                if (!probe && (policy.Flags & PolicyFlags.CpuAcquire) != 0 && sa.Pcpu is null)
                {
                    _space.PostAcquire(policy, flow, cpu);
                }
                sas.Add(sa);
                (daddr, saddr) = (remote, local);
                continue;
            }
            if (search == SaSearch.Missing && !probe)
            {
                _space.PostAcquire(policy, flow);
            }
            if (!template.IsOptional)
            {
                return new Verdict(search == SaSearch.SpiTaken ? Errno.EEXIST : Errno.EAGAIN);
            }
        }
        return new Verdict(Errno.None);
    }

    /// <summary><c>__xfrm6_state_sort_cmp</c>: what two policies ask for together is applied in this order to IPv6, whoever of them asked for it.</summary>
    private static int StateOrder(SecurityAssociation sa) => sa.Mode switch
    {
        XfrmMode.Transport => sa.Id.Proto != IpProtocol.Ah ? 1 : 3,
        XfrmMode.RouteOptimization or XfrmMode.InTrigger => 2,
        XfrmMode.Tunnel or XfrmMode.Beet or XfrmMode.Iptfs => 4,
        _ => 5,
    };

    private bool TryTunnelEnds(in PolicyTemplate template, in Flow flow, in XfrmAddress daddr, in XfrmAddress saddr, out XfrmAddress remote, out XfrmAddress local)
    {
        (remote, local) = (daddr, saddr);
        if (!template.HasTunnelAddresses)
        {
            return true;
        }
        (remote, local) = (template.Id.Daddr, template.Saddr);
        if (!local.IsAny(template.Family))
        {
            return true;
        }
        if (_space.SourceAddressFor(remote, template.Family, flow.Mark) is not { } chosen)
        {
            return false;
        }
        local = chosen;
        return true;
    }

    private readonly record struct Verdict(Errno Errno);
}
