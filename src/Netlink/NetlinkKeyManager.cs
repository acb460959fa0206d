using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

/// <summary>Tells the listeners of the multicast groups what happens, one datagram each: <c>netlink_mgr</c> of net/xfrm/xfrm_user.c.</summary>
internal sealed class NetlinkKeyManager(NetlinkNamespace space) : IKeyManager
{
    private const int TypicalEvent = 1024;

    public bool ListensForAcquire => space.HasListeners(XfrmGroup.Acquire);

    public bool ListensForAevents => space.MayHaveListeners(XfrmGroup.Aevents);

    // xfrm_send_state_notify
    public void Notify(in SaEvent notification)
    {
        XfrmGroup group = notification.Kind switch
        {
            SaEventKind.Expire => XfrmGroup.Expire,
            SaEventKind.NewAe => XfrmGroup.Aevents,
            _ => XfrmGroup.Sa,
        };
        if (!space.HasListeners(group))
        {
            return;
        }
        using NlWriter writer = new(TypicalEvent);
        switch (notification)
        {
            case { Kind: SaEventKind.New or SaEventKind.Update, Sa: { } sa }:
                StateMessages.WriteState(writer, notification.Kind == SaEventKind.New ? XfrmMsg.NewSa : XfrmMsg.UpdSa, NlMsgFlags.None, notification.Seq, notification.PortId, sa);
                break;
            case { Kind: SaEventKind.Delete, Sa: { } sa }:
                StateMessages.WriteDelete(writer, notification.Seq, notification.PortId, sa);
                break;
            case { Kind: SaEventKind.Flush }:
                WriteFlush(writer, notification);
                break;
            case { Kind: SaEventKind.Expire, Sa: { } sa }:
                StateMessages.WriteExpire(writer, notification.PortId, sa, notification.Hard, notification.Counts);
                break;
            case { Kind: SaEventKind.NewAe, Sa: { } sa }:
                StateMessages.WriteAevent(writer, notification.Seq, notification.PortId, sa, (XfrmAeFlags)notification.AeventFlags, notification.Replay ?? sa.Replay.Snapshot(), notification.Counts?.Lifetime);
                break;
            default:
                return;
        }
        space.Multicast(group, writer.Written);
    }

    // xfrm_send_policy_notify
    public void NotifyPolicy(in PolicyEvent notification)
    {
        XfrmGroup group = notification.Kind == PolicyEventKind.Expire ? XfrmGroup.Expire : XfrmGroup.Policy;
        if (!space.HasListeners(group))
        {
            return;
        }
        using NlWriter writer = new(TypicalEvent);
        switch (notification)
        {
            case { Kind: PolicyEventKind.New or PolicyEventKind.Update, Policy: { } policy }:
                PolicyMessages.WriteChange(writer, notification.Kind == PolicyEventKind.New ? XfrmMsg.NewPolicy : XfrmMsg.UpdPolicy, notification, policy);
                break;
            case { Kind: PolicyEventKind.Delete, Policy: { } policy }:
                PolicyMessages.WriteDelete(writer, notification, policy);
                break;
            case { Kind: PolicyEventKind.Flush }:
                PolicyMessages.WriteFlush(writer, notification);
                break;
            case { Kind: PolicyEventKind.Expire, Policy: { } policy }:
                PolicyMessages.WriteExpire(writer, notification, policy);
                break;
            case { Kind: PolicyEventKind.Default }:
                PolicyMessages.WriteDefault(writer, 0, 0, space.Space.Spd);
                break;
            default:
                return;
        }
        space.Multicast(group, writer.Written);
    }

    // xfrm_send_acquire: the larval SA gets its number even where nobody listens.
    public bool Acquire(SecurityAssociation larval, in PolicyTemplate template, Policy policy)
    {
        space.Space.Sad.SetAcquireSeq(larval, space.Space.Sad.NextAcquireSeq());
        if (!space.HasListeners(XfrmGroup.Acquire))
        {
            return false;
        }
        using NlWriter writer = new(TypicalEvent);
        PolicyMessages.WriteAcquire(writer, larval, template, policy);
        return space.Multicast(XfrmGroup.Acquire, writer.Written);
    }

    // xfrm_send_mapping
    public bool NewMapping(SecurityAssociation sa, in XfrmAddress newAddress, Be16 newPort)
    {
        if (sa.Id.Proto != IpProtocol.Esp || sa.Encap is not { } encap || !space.HasListeners(XfrmGroup.Mapping))
        {
            return false;
        }
        using NlWriter writer = new(TypicalEvent);
        StateMessages.WriteMapping(writer, sa, encap, newAddress, newPort);
        return space.Multicast(XfrmGroup.Mapping, writer.Written);
    }

    // xfrm_send_migrate
    public void Migrate(in XfrmSelector selector, PolicyDirection direction, PolicyType type, IReadOnlyList<MigrateEntry> entries, KmAddress? kmAddress, XfrmEncapTmpl? encap)
    {
        if (!space.HasListeners(XfrmGroup.Migrate))
        {
            return;
        }
        using NlWriter writer = new(TypicalEvent);
        PolicyMessages.WriteMigrate(writer, selector, direction, type, entries, kmAddress, encap);
        space.Multicast(XfrmGroup.Migrate, writer.Written);
    }

    // xfrm_notify_sa_flush
    private static void WriteFlush(NlWriter writer, in SaEvent notification)
    {
        int start = writer.BeginMessage(XfrmMsg.FlushSa, NlMsgFlags.None, notification.Seq, notification.PortId, new XfrmUserSaFlush { Proto = notification.Proto });
        writer.EndMessage(start);
    }
}
