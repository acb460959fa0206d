namespace Xfrmd.Kernel;

public sealed partial class Sad
{
    /// <summary>
    /// <c>xfrm_state_find</c> without the ACQUIRE: the SA that serves a template between two addresses. Lock-free.
    /// </summary>
    /// <param name="template">The policy's template.</param>
    /// <param name="daddr">Outer destination.</param>
    /// <param name="saddr">Outer source.</param>
    /// <param name="flow">The inner packet.</param>
    /// <param name="policy">Its mark and if_id must fit.</param>
    /// <param name="cpu">The CPU for per-CPU SAs.</param>
    /// <param name="found">The SA, when the result is <see cref="SaSearch.Found"/>.</param>
    /// <param name="waits">Not found counts what is for any CPU while one for this is being asked for.</param>
    public SaSearch FindForTemplate(in PolicyTemplate template, in XfrmAddress daddr, in XfrmAddress saddr, in Flow flow, Policy policy, uint cpu, out SecurityAssociation? found,
        bool waits = true)
    {
        Search search = default;
        ushort family = template.Family;
        PathKey path = new(daddr.Normalized(family), saddr.Normalized(family), template.Reqid, family);
        if (FindPath(path) is { } chain)
        {
            Look(chain, template, flow, policy, cpu, ref search);
        }
        if (search.Best is null && !search.InProgress)
        {
            // xfrm_state_addr_check: SAs with a wildcard source serve any.
            PathKey wildcard = new(path.Daddr, default, template.Reqid, family);
            if (wildcard != path && FindPath(wildcard) is { } wild)
            {
                Look(wild, template, flow, policy, cpu, ref search);
            }
        }
        found = search.Best;
        if (found is not null && (!waits || (policy.Flags & PolicyFlags.CpuAcquire) == 0 || found.Pcpu == cpu))
        {
            return SaSearch.Found;
        }
        if (search.InProgress || search.Failed)
        {
            // While this CPU's own SA is asked for, Linux uses no other either, but for the packet that made it ask.
            found = null;
            return search.Failed ? SaSearch.Failed : SaSearch.InProgress;
        }
        if (found is not null)
        {
            return SaSearch.Found;
        }
        return template.Id.Spi.Raw != 0 && Lookup(policy.Mark.V & policy.Mark.M, daddr, template.Id.Spi, template.Id.Proto, family) is not null
            ? SaSearch.SpiTaken
            : SaSearch.Missing;
    }

    private static void Look(SaChain chain, in PolicyTemplate template, in Flow flow, Policy policy, uint cpu, ref Search search)
    {
        for (SecurityAssociation? sa = chain.First; sa is not null; sa = sa.NextOnChain)
        {
            if (sa.IfId != policy.IfId || !sa.Mark.Matches(policy.Mark.V & policy.Mark.M) || (sa.Flags & SaFlags.WildRecv) != 0
                || sa.Mode != template.Mode || sa.Id.Proto != template.Id.Proto
                || (template.Id.Spi.Raw != 0 && template.Id.Spi != sa.Id.Spi))
            {
                continue;
            }
            bool selected = sa.Selector.Family == 0 || (sa.Selector.Family == flow.Family && sa.Selector.Matches(flow, flow.Family));
            switch (sa.State)
            {
                case SaState.Valid when selected && (sa.Pcpu is null || sa.Pcpu == cpu):
                    if (search.Best is not { } best
                        || (best.Pcpu is null && sa.Pcpu == cpu)
                        || (best.IsDying && !sa.IsDying)
                        || (best.IsDying == sa.IsDying && best.AddTime < sa.AddTime))
                    {
                        search.Best = sa;
                    }
                    break;
                case SaState.Acq:
                    search.InProgress |= search.Best is null || sa.Pcpu == cpu;
                    break;
                // One that has just expired is as good as gone: its timer, which deletes it, runs before the next packet in Linux.
                case SaState.Error when selected:
                    search.Failed = true;
                    break;
            }
        }
    }

    private struct Search
    {
        public SecurityAssociation? Best;
        public bool InProgress;
        public bool Failed;
    }

    /// <summary>
    /// The rest of <c>xfrm_state_find</c>: makes the larval SA and asks the key managers. Null where nobody listens. Under the gate.
    /// </summary>
    public SecurityAssociation? Acquire(in PolicyTemplate template, in XfrmAddress daddr, in XfrmAddress saddr, in Flow flow, Policy policy, uint? pcpu)
    {
        if (!_space.KeyManagers.ListensForAcquire)
        {
            return null;
        }
        // xfrm_init_tempstate: the selector is the packet itself; the ends are the template's where it names them, in any mode.
        SecurityAssociation larval = new()
        {
            Family = template.Family,
            Mode = template.Mode,
            Reqid = template.Reqid,
            IfId = policy.IfId,
            Mark = policy.Mark,
            Pcpu = pcpu,
            Saddr = template.Saddr.IsAny(template.Family) ? saddr : template.Saddr,
            Direction = SaDirection.Out,
            State = SaState.Acq,
            AddTime = _space.WallSeconds,
            Lifetime = XfrmLifetimeCfg.Unlimited(_space.Sysctls.AcqExpires),
        };
        larval.Id.Daddr = template.Id.Daddr.IsAny(template.Family) ? daddr : template.Id.Daddr;
        larval.IsMisfiled = !larval.Id.Daddr.Equals(daddr, template.Family) || !larval.Saddr.Equals(saddr, template.Family);
        larval.Id.Proto = template.Id.Proto;
        larval.Id.Spi = template.Id.Spi;
        byte prefix = flow.Family == AddressFamily.Inet ? (byte)32 : (byte)128;
        larval.Selector.Daddr = flow.Daddr;
        larval.Selector.Saddr = flow.Saddr;
        larval.Selector.Dport = Be16.From(flow.Dport);
        larval.Selector.DportMask = Be16.From(0xffff);
        larval.Selector.Sport = Be16.From(flow.Sport);
        larval.Selector.SportMask = Be16.From(0xffff);
        larval.Selector.Family = flow.Family;
        larval.Selector.PrefixlenD = prefix;
        larval.Selector.PrefixlenS = prefix;
        larval.Selector.Proto = flow.Proto;
        larval.Selector.Ifindex = flow.Oif;
        if (!_space.KeyManagers.Acquire(larval, template, policy))
        {
            larval.State = SaState.Dead;
            return null;
        }
        Link(larval);
        _space.Timers.Arm(larval, _space.Sysctls.AcqExpires);
        _space.BumpGeneration();
        return larval;
    }
}
