using Xfrmd.Crypto;

namespace Xfrmd.Kernel;

/// <summary>
/// Moves SAs and the policy that asks for them to other addresses: <c>xfrm_migrate</c>, net/xfrm/xfrm_policy.c. Under
/// <see cref="XfrmNamespace.Gate"/>.
/// </summary>
public static class Migration
{
    private const byte AnyUpperProtocol = 255;   // IPSEC_ULPROTO_ANY

    /// <summary>Moves what the entries name, or nothing.</summary>
    /// <param name="space">The namespace.</param>
    /// <param name="selector">Names the policy: it is looked up as a flow.</param>
    /// <param name="direction">The policy's direction as given, not yet checked.</param>
    /// <param name="type">The policy's type.</param>
    /// <param name="entries">The ways from old to new addresses.</param>
    /// <param name="kmAddress">The key managers' own addresses: only told.</param>
    /// <param name="encap">Replaces the SAs' encapsulation.</param>
    /// <param name="ifId">The policy's interface id, and where it is not 0 the SAs'.</param>
    /// <param name="offload">Gives an SA to the device that the request names (Linux 6.16); null: to none.</param>
    public static Outcome Run(XfrmNamespace space, in XfrmSelector selector, byte direction, PolicyType type, IReadOnlyList<MigrateEntry> entries,
        KmAddress? kmAddress, XfrmEncapTmpl? encap, uint ifId, Func<SecurityAssociation, Outcome>? offload = null)
    {
        Outcome outcome = Check(entries);
        if (!outcome.IsOk)
        {
            return outcome;
        }
        if (direction > (byte)PolicyDirection.Fwd)
        {
            return Outcome.Reject(Errno.EINVAL, "Invalid policy direction");
        }
        if (selector.Family is not (AddressFamily.Inet or AddressFamily.Inet6))
        {
            return Outcome.Reject(Errno.EAFNOSUPPORT, "Target policy not found");
        }
        if (space.Spd.Find(FlowOf(selector, ifId), (PolicyDirection)direction, type) is not { } policy)
        {
            return Outcome.Reject(Errno.ENOENT, "Target policy not found");
        }
        List<SecurityAssociation> old = [], moved = [];
        outcome = MoveSas(space, entries, encap, ifId, offload, old, moved);
        if (outcome.IsOk)
        {
            outcome = MoveTemplates(space, policy, entries);
        }
        foreach (SecurityAssociation sa in outcome.IsOk ? old : moved)
        {
            space.Sad.Delete(sa);
        }
        if (outcome.IsOk)
        {
            space.KeyManagers.Migrate(selector, (PolicyDirection)direction, type, entries, kmAddress, encap);
        }
        return outcome;
    }

    // xfrm_migrate_check
    private static Outcome Check(IReadOnlyList<MigrateEntry> entries)
    {
        if (entries.Count < 1 || entries.Count > SecurityAssociation.MaxDepth)
        {
            return Outcome.Reject(Errno.EINVAL, "Invalid number of SAs to migrate, must be 0 < num <= XFRM_MAX_DEPTH (6)");
        }
        for (int i = 0; i < entries.Count; i++)
        {
            MigrateEntry entry = entries[i];
            if (entry.NewDaddr.IsAny(entry.NewFamily) || entry.NewSaddr.IsAny(entry.NewFamily))
            {
                return Outcome.Reject(Errno.EINVAL, "Addresses in the MIGRATE attribute's list cannot be null");
            }
            for (int j = i + 1; j < entries.Count; j++)
            {
                if (StartAlike(entry, entries[j]))
                {
                    return Outcome.Reject(Errno.EINVAL, "Entries in the MIGRATE attribute's list must be unique");
                }
            }
        }
        return Outcome.Ok;
    }

    private static bool StartAlike(in MigrateEntry a, in MigrateEntry b) =>
        a.OldDaddr == b.OldDaddr && a.OldSaddr == b.OldSaddr && a.Proto == b.Proto && a.Mode == b.Mode && a.Reqid == b.Reqid && a.OldFamily == b.OldFamily;

    // xfrm_migrate_policy_find
    private static Flow FlowOf(in XfrmSelector selector, uint ifId)
    {
        Flow flow = new() { Saddr = selector.Saddr, Daddr = selector.Daddr, Family = selector.Family, Proto = selector.Proto, IfId = ifId };
        return selector.Proto == AnyUpperProtocol
            ? flow
            : flow with { Oif = selector.Ifindex, Sport = SourcePort(selector), Dport = DestinationPort(selector) };
    }

    // xfrm_flowi_sport: the selector's ports lie where a flow has ICMP type and code, or the GRE key.
    private static ushort SourcePort(in XfrmSelector selector) => selector.Proto switch
    {
        IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.UdpLite or IpProtocol.Sctp => selector.Sport.Value,
        IpProtocol.Icmp or IpProtocol.Icmpv6 or IpProtocol.Mh => (ushort)(selector.Dport.Value >> 8),
        IpProtocol.Gre => selector.Dport.Value,
        _ => 0,
    };

    // xfrm_flowi_dport
    private static ushort DestinationPort(in XfrmSelector selector) => selector.Proto switch
    {
        IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.UdpLite or IpProtocol.Sctp => selector.Dport.Value,
        IpProtocol.Icmp or IpProtocol.Icmpv6 => (ushort)(selector.Dport.Value & 0xff),
        IpProtocol.Gre => selector.Sport.Value,
        _ => 0,
    };

    private static Outcome MoveSas(XfrmNamespace space, IReadOnlyList<MigrateEntry> entries, XfrmEncapTmpl? encap, uint ifId,
        Func<SecurityAssociation, Outcome>? offload, List<SecurityAssociation> old, List<SecurityAssociation> moved)
    {
        foreach (MigrateEntry entry in entries)
        {
            if (space.Sad.FindForMigration(entry, ifId) is not { } sa)
            {
                continue;
            }
            old.Add(sa);
            string? text = null;
            if (Move(space, sa, entry, encap, offload, ref text) is not { } clone)
            {
                return new Outcome(Errno.ENODATA, text);
            }
            moved.Add(clone);
        }
        return Outcome.Ok;
    }

    // xfrm_state_migrate
    private static SecurityAssociation? Move(XfrmNamespace space, SecurityAssociation sa, in MigrateEntry entry, XfrmEncapTmpl? encap,
        Func<SecurityAssociation, Outcome>? offload, ref string? text)
    {
        SecurityAssociation clone = Clone(sa, encap);
        clone.Family = entry.NewFamily;
        Outcome outcome = SaInitializer.Initialize(clone, space);
        clone.Id.Daddr = entry.NewDaddr;
        clone.Saddr = entry.NewSaddr;
        if (outcome.IsOk && offload is not null)
        {
            outcome = offload(clone);
            text = outcome.ExtAck;
        }
        if (outcome.IsOk)
        {
            if (sa.Id.Daddr.Equals(entry.NewDaddr, entry.NewFamily))
            {
                // The key stays the same: both stand side by side until the old one goes.
                space.Sad.Insert(clone);
            }
            else
            {
                outcome = space.Sad.Add(clone);
            }
        }
        if (outcome.IsOk)
        {
            return clone;
        }
        clone.Dispose();
        return null;
    }

    // xfrm_state_clone
    private static SecurityAssociation Clone(SecurityAssociation sa, XfrmEncapTmpl? encap)
    {
        SecurityAssociation clone = new()
        {
            Id = sa.Id,
            Selector = sa.Selector,
            Lifetime = sa.Lifetime,
            Mode = sa.Mode,
            LegacyReplayWindow = sa.LegacyReplayWindow,
            Reqid = sa.Reqid,
            Family = sa.Family,
            Saddr = sa.Saddr,
            Aead = sa.Aead is { } aead ? aead with { Key = Copy(aead.Key) } : null,
            Auth = sa.Auth is { } auth ? auth with { Key = Copy(auth.Key) } : null,
            Crypt = sa.Crypt is { } crypt ? crypt with { Key = Copy(crypt.Key) } : null,
            Comp = sa.Comp,
            AuthId = sa.AuthId,
            CipherId = sa.CipherId,
            CompressionId = sa.CompressionId,
            Encap = encap ?? sa.Encap,
            SecurityContext = sa.SecurityContext,
            CareOfAddress = sa.CareOfAddress,
            Mark = sa.Mark,
            SetMark = sa.SetMark,
            Flags = sa.Flags,
            ExtraFlags = sa.ExtraFlags,
            Pcpu = sa.Pcpu,
            IfId = sa.IfId,
            TfcPad = sa.TfcPad,
            ReplayMaxDiff = sa.ReplayMaxDiff,
            ReplayMaxAge = sa.ReplayMaxAge,
            CurrentLifetime = sa.CurrentLifetime,
            KmSeq = sa.KmSeq,
            MappingMaxAge = (encap ?? sa.Encap) is null ? 0 : sa.MappingMaxAge,
            LastUsed = sa.LastUsed,
            Direction = sa.Direction,
            NatKeepaliveInterval = sa.NatKeepaliveInterval,
            Iptfs = sa.Iptfs,
        };
        clone.SetReplay(sa.Replay.Snapshot());
        clone.LastNotifiedReplay = sa.LastNotifiedReplay;
        return clone;
    }

    private static SecretKey Copy(SecretKey key) => new(key.Span);

    // xfrm_policy_migrate
    private static Outcome MoveTemplates(XfrmNamespace space, Policy policy, IReadOnlyList<MigrateEntry> entries)
    {
        PolicyTemplate[] templates = [.. policy.TemplateArray];
        int matched = 0;
        foreach (ref PolicyTemplate template in templates.AsSpan())
        {
            foreach (MigrateEntry entry in entries)
            {
                if (!Matches(template, entry))
                {
                    continue;
                }
                matched++;
                if (template.HasTunnelAddresses)
                {
                    template.Id.Daddr = entry.NewDaddr;
                    template.Saddr = entry.NewSaddr;
                    template.Family = entry.NewFamily;
                }
            }
        }
        if (matched == 0)
        {
            return Errno.ENODATA;
        }
        space.Spd.ReplaceTemplates(policy, templates);
        return Outcome.Ok;
    }

    // migrate_tmpl_match
    private static bool Matches(in PolicyTemplate template, in MigrateEntry entry) =>
        template.Mode == entry.Mode && template.Id.Proto == entry.Proto && (entry.Reqid == 0 || template.Reqid == entry.Reqid)
        && (template.Mode == XfrmMode.Transport
            || (template.HasTunnelAddresses
                && template.Id.Daddr.Equals(entry.OldDaddr, entry.OldFamily) && template.Saddr.Equals(entry.OldSaddr, entry.OldFamily)));
}
