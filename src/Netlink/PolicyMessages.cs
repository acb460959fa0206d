using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

/// <summary>The messages that tell of policies, attribute for attribute in the kernel's order.</summary>
internal static class PolicyMessages
{
    /// <summary>NEWPOLICY in an answer or dump: <c>dump_one_policy</c>. Alone in telling the security context, which Linux has none of without an LSM.</summary>
    public static void WritePolicy(NlWriter writer, NlMsgFlags flags, uint seq, uint portId, Policy policy, byte direction)
    {
        int start = writer.BeginMessage(XfrmMsg.NewPolicy, flags, seq, portId, InfoOf(policy, direction));
        WriteAttributes(writer, policy);
        writer.EndMessage(start);
    }

    /// <summary>NEWPOLICY or UPDPOLICY as an event: <c>xfrm_notify_policy</c>.</summary>
    public static void WriteChange(NlWriter writer, XfrmMsg type, in PolicyEvent change, Policy policy)
    {
        int start = writer.BeginMessage(type, NlMsgFlags.None, change.Seq, change.PortId, InfoOf(policy, (byte)change.Direction));
        WriteAttributes(writer, policy);
        writer.EndMessage(start);
    }

    /// <summary>DELPOLICY: <c>xfrm_notify_policy</c>.</summary>
    public static void WriteDelete(NlWriter writer, in PolicyEvent change, Policy policy)
    {
        XfrmUserPolicyId id = new() { Dir = (byte)change.Direction };
        if (change.ByIndex)
        {
            id.Index = policy.Index;
        }
        else
        {
            id.Sel = policy.Selector;
        }
        int start = writer.BeginMessage(XfrmMsg.DelPolicy, NlMsgFlags.None, change.Seq, change.PortId, id);
        writer.Put(XfrmAttr.Policy, InfoOf(policy, (byte)change.Direction));
        WriteAttributes(writer, policy);
        writer.EndMessage(start);
    }

    /// <summary>FLUSHPOLICY: <c>xfrm_notify_policy_flush</c>.</summary>
    public static void WriteFlush(NlWriter writer, in PolicyEvent change)
    {
        int start = writer.BeginMessage((ushort)XfrmMsg.FlushPolicy, NlMsgFlags.None, change.Seq, change.PortId);
        WriteType(writer, change.Type);
        writer.EndMessage(start);
    }

    /// <summary>POLEXPIRE: <c>build_polexpire</c>.</summary>
    public static void WriteExpire(NlWriter writer, in PolicyEvent change, Policy policy)
    {
        int start = writer.BeginMessage(XfrmMsg.PolExpire, NlMsgFlags.None, 0, change.PortId,
            new XfrmUserPolExpire { Pol = InfoOf(policy, (byte)change.Direction), Hard = change.Hard ? (byte)1 : (byte)0 });
        WriteAttributes(writer, policy);
        writer.EndMessage(start);
    }

    /// <summary>ACQUIRE: <c>build_acquire</c>.</summary>
    public static void WriteAcquire(NlWriter writer, SecurityAssociation larval, in PolicyTemplate template, Policy policy)
    {
        int start = writer.BeginMessage(XfrmMsg.Acquire, NlMsgFlags.None, 0, 0, new XfrmUserAcquire
        {
            Id = larval.Id,
            Saddr = larval.Saddr,
            Sel = larval.Selector,
            Policy = InfoOf(policy, (byte)PolicyDirection.Out),
            Aalgos = template.Aalgos,
            Ealgos = template.Ealgos,
            Calgos = template.Calgos,
            Seq = larval.KmSeq,
        });
        WriteAttributes(writer, policy);
        if (larval.Pcpu is { } cpu)
        {
            writer.Put(XfrmAttr.SaPcpu, cpu);
        }
        writer.EndMessage(start);
    }

    /// <summary>MIGRATE: <c>build_migrate</c>.</summary>
    public static void WriteMigrate(NlWriter writer, in XfrmSelector selector, PolicyDirection direction, PolicyType type,
        IReadOnlyList<MigrateEntry> entries, KmAddress? kmAddress, XfrmEncapTmpl? encap)
    {
        int start = writer.BeginMessage(XfrmMsg.Migrate, NlMsgFlags.None, 0, 0, new XfrmUserPolicyId { Sel = selector, Dir = (byte)direction });
        if (kmAddress is { } km)
        {
            writer.Put(XfrmAttr.KmAddress, new XfrmUserKmAddress { Local = km.Local, Remote = km.Remote, Reserved = km.Reserved, Family = km.Family });
        }
        if (encap is { } template)
        {
            writer.Put(XfrmAttr.Encap, template);
        }
        WriteType(writer, type);
        foreach (MigrateEntry entry in entries)
        {
            writer.Put(XfrmAttr.Migrate, new XfrmUserMigrate
            {
                OldDaddr = entry.OldDaddr,
                OldSaddr = entry.OldSaddr,
                NewDaddr = entry.NewDaddr,
                NewSaddr = entry.NewSaddr,
                Proto = entry.Proto,
                Mode = (byte)entry.Mode,
                Reqid = entry.Reqid,
                OldFamily = entry.OldFamily,
                NewFamily = entry.NewFamily,
            });
        }
        writer.EndMessage(start);
    }

    /// <summary>GETDEFAULT as an answer, and what tells of SETDEFAULT: <c>xfrm_get_default</c>, <c>xfrm_notify_userpolicy</c>.</summary>
    public static void WriteDefault(NlWriter writer, uint seq, uint portId, Spd spd)
    {
        int start = writer.BeginMessage(XfrmMsg.GetDefault, NlMsgFlags.None, seq, portId, new XfrmUserPolicyDefault
        {
            In = DefaultOf(spd, PolicyDirection.In),
            Fwd = DefaultOf(spd, PolicyDirection.Fwd),
            Out = DefaultOf(spd, PolicyDirection.Out),
        });
        writer.EndMessage(start);
    }

    private static byte DefaultOf(Spd spd, PolicyDirection direction) =>
        spd.Default(direction) == PolicyAction.Block ? XfrmUserPolicyDefault.Block : XfrmUserPolicyDefault.Accept;

    // copy_to_user_policy: share is always reported as 0.
    private static XfrmUserPolicyInfo InfoOf(Policy policy, byte direction) => new()
    {
        Sel = policy.Selector,
        Lft = policy.Lifetime,
        Curlft = policy.CurrentLifetime,
        Priority = policy.Priority,
        Index = policy.Index,
        Dir = direction,
        Action = (byte)policy.Action,
        Flags = (byte)policy.Flags,
    };

    private static void WriteAttributes(NlWriter writer, Policy policy)
    {
        if (policy.TemplateArray.Length != 0)
        {
            writer.Put((ushort)XfrmAttr.Tmpl, MemoryMarshal.AsBytes(policy.TemplateArray.AsSpan()));
        }
        WriteType(writer, policy.Type);
        StateMessages.WriteMark(writer, policy.Mark);
        StateMessages.WriteIfId(writer, policy.IfId);
    }

    // copy_to_user_policy_type
    private static void WriteType(NlWriter writer, PolicyType type) => writer.Put(XfrmAttr.PolicyType, new XfrmUserPolicyType { Type = (byte)type });
}
