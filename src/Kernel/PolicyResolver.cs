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
    /// <param name="steeredBy">The mark of the policy by which steering took the packet, of whose own mark no more is known; null: the flow has the packet's.</param>
    /// <param name="ofSocket">The out policy of the socket that sends it, which goes before all others where it matches (<c>xfrm_sk_policy_lookup</c>).</param>
    /// <param name="isQuoted">The flow is that of the packet that an ICMP error is about: policies without XFRM_POLICY_ICMP let it pass (XFRM_LOOKUP_ICMP).</param>
    public OutboundDecision Resolve(in Flow flow, uint cpu = 0, bool probe = false, XfrmMark? steeredBy = null, Policy? ofSocket = null, bool isQuoted = false)
    {
        int generation = _space.Generation;
        Policy? policy = ofSocket is not null && ofSocket.Matches(flow) ? ofSocket : _space.Spd.Find(flow, PolicyDirection.Out, steeredBy);
        if (policy is null)
        {
            return _space.Spd.Default(PolicyDirection.Out) == PolicyAction.Block && !isQuoted
                ? new OutboundDecision { Action = OutboundAction.Drop, Errno = Errno.EPERM, Generation = generation }
                : Bypass(generation);
        }
        Policy? main = null;
        if (policy.Type == PolicyType.Sub && policy.Action == PolicyAction.Allow)
        {
            main = _space.Spd.Find(flow, PolicyDirection.Out, PolicyType.Main);
        }
        bool isNoneOfIts = isQuoted && (policy.Flags & PolicyFlags.Icmp) == 0;
        if (policy.Action == PolicyAction.Block || main?.Action == PolicyAction.Block)
        {
            if (isNoneOfIts)
            {
                return Bypass(generation);
            }
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
        bool fallback = false;
        foreach (Policy each in main is null ? new[] { policy } : [policy, main])
        {
            Verdict verdict = ResolveTemplates(each, flow, cpu, probe, sas);
            fallback |= verdict.IsFallback;
            if (verdict.Errno != Errno.None)
            {
                return new OutboundDecision
                {
                    Action = verdict.Errno == Errno.EAGAIN ? OutboundAction.Pending : OutboundAction.Drop,
                    Policy = each,
                    MainPolicy = main,
                    Counter = verdict.Errno != Errno.EAGAIN ? XfrmCounter.OutPolError : each.IsSocketPolicy ? null : XfrmCounter.OutNoStates,
                    Cause = verdict.Cause,
                    Errno = verdict.Errno,
                    Generation = generation,
                };
            }
        }
        if (isNoneOfIts)
        {
            return Bypass(generation);   // Linux finds that out behind the SAs, for which it has asked
        }
        MarkUsed(policy, main, probe);
        return new OutboundDecision
        {
            Action = sas.Count == 0 ? OutboundAction.Bypass : OutboundAction.Transform,
            Policy = policy,
            MainPolicy = main,
            IsFallback = fallback,
            Sas = main is not null && flow.Family == AddressFamily.Inet6 ? [.. sas.OrderBy(StateOrder)] : [.. sas],
            Generation = generation,
        };
    }

    private static OutboundDecision Bypass(int generation) => new() { Action = OutboundAction.Bypass, Generation = generation };

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

    /// <summary>Makes the larval SAs for the templates of a policy that a packet found without, and asks for them. Under the gate.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="flow">The packet.</param>
    /// <param name="pcpu">The CPU that asks for SAs of its own where there are others; null: none does.</param>
    public void Acquire(Policy policy, in Flow flow, uint? pcpu)
    {
        XfrmAddress daddr = flow.Daddr, saddr = flow.Saddr;
        foreach (ref readonly PolicyTemplate template in policy.TemplateArray.AsSpan())
        {
            if (!TryTunnelEnds(template, flow, daddr, saddr, out XfrmAddress remote, out XfrmAddress local))
            {
                return;
            }
            SaSearch search = _space.Sad.FindForTemplate(template, remote, local, flow, policy, pcpu ?? 0, out SecurityAssociation? sa, waits: false);
            if (search == SaSearch.Found)
            {
                if (pcpu is { } cpu && sa!.Pcpu != cpu && _space.Sad.FindLarval(policy.Mark, template.Family, template.Mode, template.Reqid, cpu, template.Id.Proto, remote, local) is null)
                {
                    _space.Sad.Acquire(template, remote, local, flow, policy, cpu);
                }
                (daddr, saddr) = (remote, local);
                continue;
            }
            if (search == SaSearch.Missing)
            {
                _space.Sad.Acquire(template, remote, local, flow, policy, pcpu: null);
            }
            if (!template.IsOptional)
            {
                return;
            }
        }
    }

    // xfrm_tmpl_resolve, xfrm_tmpl_resolve_one
    private Verdict ResolveTemplates(Policy policy, in Flow flow, uint cpu, bool probe, List<SecurityAssociation> sas)
    {
        // Templates count, whether or not there is an SA for each, and there is room for one less than a policy may have.
        if (sas.Count + policy.TemplateArray.Length >= SecurityAssociation.MaxDepth)
        {
            return new Verdict(Errno.ENOBUFS);
        }
        Verdict verdict = ResolveEach(policy, flow, cpu, sas, out bool asks, out bool asksForCpu);
        if (asks && !probe)
        {
            _space.PostAcquire(policy, flow, asksForCpu ? cpu : null);
        }
        return verdict with { IsFallback = asksForCpu };
    }

    private Verdict ResolveEach(Policy policy, in Flow flow, uint cpu, List<SecurityAssociation> sas, out bool asks, out bool asksForCpu)
    {
        XfrmAddress daddr = flow.Daddr, saddr = flow.Saddr;
        asks = asksForCpu = false;
        foreach (ref readonly PolicyTemplate template in policy.TemplateArray.AsSpan())
        {
            if (!TryTunnelEnds(template, flow, daddr, saddr, out XfrmAddress remote, out XfrmAddress local))
            {
                return new Verdict(Errno.EHOSTUNREACH);   // xfrm_get_saddr
            }
            SaSearch search = _space.Sad.FindForTemplate(template, remote, local, flow, policy, cpu, out SecurityAssociation? sa);
            if (search == SaSearch.Found && (policy.Flags & PolicyFlags.CpuAcquire) != 0 && sa!.Pcpu != cpu)
            {
                asks = asksForCpu = true;
                search = _space.KeyManagers.ListensForAcquire ? SaSearch.Found : SaSearch.Failed;
            }
            if (search == SaSearch.Found)
            {
                if (sa!.Direction == SaDirection.In)
                {
                    return new Verdict(Errno.EINVAL, XfrmCounter.OutStateDirError);
                }
                sas.Add(sa);
                (daddr, saddr) = (remote, local);
                continue;
            }
            asks |= search == SaSearch.Missing;
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

    private readonly record struct Verdict(Errno Errno, XfrmCounter? Cause = null, bool IsFallback = false);
}
