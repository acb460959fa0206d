using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

/// <summary>What PF_KEY's listeners are told: <c>pfkeyv2_mgr</c>.</summary>
internal sealed class PfKeyKeyManager(PfKeyNamespace space) : IKeyManager
{
    public bool ListensForAcquire => space.HasRegistered;

    public bool ListensForAevents => false;

    // pfkey_send_notify
    public void Notify(in SaEvent notification)
    {
        if (!space.HasSockets)
        {
            return;
        }
        switch (notification)
        {
            case { Kind: SaEventKind.Expire, Sa: { } sa }:
                TellExpired(sa, notification.Hard, notification.Counts?.Lifetime);
                break;
            case { Kind: SaEventKind.New, Sa: { } sa }:
                Tell(SadbType.Add, sa, notification);
                break;
            case { Kind: SaEventKind.Update, Sa: { } sa }:
                Tell(SadbType.Update, sa, notification);
                break;
            case { Kind: SaEventKind.Delete, Sa: { } sa }:
                Tell(SadbType.Delete, sa, notification);
                break;
            case { Kind: SaEventKind.Flush }:
                TellFlushed(SadbType.Flush, PfKeyNumbers.SatypeOf(notification.Proto), notification.Seq, notification.PortId);
                break;
        }
    }

    // pfkey_send_policy_notify: MAIN policies only, and no expiry.
    public void NotifyPolicy(in PolicyEvent notification)
    {
        if (!space.HasSockets)
        {
            return;
        }
        switch (notification)
        {
            case { Policy.Type: not PolicyType.Main } or { Type: not PolicyType.Main }:
                break;
            case { Kind: PolicyEventKind.Flush }:
                TellFlushed(SadbType.XSpdFlush, SadbSatype.Unspec, notification.Seq, notification.PortId);
                break;
            case { Kind: PolicyEventKind.New, Policy: { } policy }:
                Tell(SadbType.XSpdAdd, policy, notification);
                break;
            case { Kind: PolicyEventKind.Update, Policy: { } policy }:
                Tell(SadbType.XSpdUpdate, policy, notification);
                break;
            case { Kind: PolicyEventKind.Delete, Policy: { } policy }:
                Tell(notification.ByIndex ? SadbType.XSpdDelete2 : SadbType.XSpdDelete, policy, notification);
                break;
        }
    }

    // pfkey_send_acquire
    public bool Acquire(SecurityAssociation larval, in PolicyTemplate template, Policy policy)
    {
        if (!space.HasRegistered || SocketAddress.Length(larval.Family) == 0)
        {
            return false;
        }
        if (larval.KmSeq == 0)
        {
            // Linux counts for itself and overwrites netlink's number, which then leads nowhere. One number serves both key managers.
            space.Space.Sad.SetAcquireSeq(larval, space.Space.Sad.NextAcquireSeq());
        }
        using PfKeyWriter writer = SaMessages.WriteAcquire(Header(SadbType.Acquire, PfKeyNumbers.SatypeOf(larval.Id.Proto), larval.KmSeq, 0), larval, template, policy);
        return space.SendToRegistered(writer.Written);
    }

    // pfkey_send_new_mapping
    public bool NewMapping(SecurityAssociation sa, in XfrmAddress newAddress, Be16 newPort)
    {
        if (sa.Id.Proto != IpProtocol.Esp || sa.Encap is not { } encap || SocketAddress.Length(sa.Family) == 0)
        {
            return false;
        }
        using PfKeyWriter writer = SaMessages.WriteMapping(Header(SadbType.XNatTNewMapping, SadbSatype.Esp, sa.KmSeq, 0), sa, encap.EncapSport, newAddress, newPort);
        return space.SendToRegistered(writer.Written);
    }

    // pfkey_send_migrate
    public void Migrate(in XfrmSelector selector, PolicyDirection direction, PolicyType type, IReadOnlyList<MigrateEntry> entries, KmAddress? kmAddress, XfrmEncapTmpl? encap)
    {
        if (type != PolicyType.Main || entries.Count == 0 || !space.HasSockets)
        {
            return;
        }
        SadbMsg header = Header(SadbType.XMigrate, PfKeyNumbers.SatypeOf(entries[0].Proto), 0, 0);
        using PfKeyWriter? writer = PolicyMessages.WriteMigrate(header, selector, direction, entries, kmAddress);
        SendToAll(writer);
    }

    private static SadbMsg Header(SadbType type, SadbSatype satype, uint seq, uint pid) =>
        new() { Version = SadbMsg.V2, Type = type, Satype = satype, Seq = seq, Pid = pid };

    // key_notify_sa
    private void Tell(SadbType type, SecurityAssociation sa, in SaEvent notification)
    {
        using PfKeyWriter? writer = SaMessages.WriteState(Header(type, PfKeyNumbers.SatypeOf(sa.Id.Proto), notification.Seq, notification.PortId), sa);
        SendToAll(writer);
    }

    // key_notify_sa_expire
    private void TellExpired(SecurityAssociation sa, bool hard, XfrmLifetimeCur? lifetime)
    {
        using PfKeyWriter? writer = SaMessages.WriteExpired(Header(SadbType.Expire, PfKeyNumbers.SatypeOf(sa.Id.Proto), 0, 0), sa, hard, lifetime);
        if (writer is not null)
        {
            space.SendToRegistered(writer.Written);
        }
    }

    // key_notify_policy; one reference is the notifier's.
    private void Tell(SadbType type, Policy policy, in PolicyEvent notification)
    {
        SadbMsg header = Header(type, SadbSatype.Unspec, notification.Seq, notification.PortId);
        using PfKeyWriter? writer = PolicyMessages.WritePolicy(header, policy, (int)notification.Direction, policy.CountReferences(space.Space.Time) + 1);
        SendToAll(writer);
    }

    // key_notify_sa_flush, key_notify_policy_flush
    private void TellFlushed(SadbType type, SadbSatype satype, uint seq, uint pid)
    {
        using PfKeyWriter writer = new(Header(type, satype, seq, pid));
        writer.Complete();
        SendToAll(writer);
    }

    private void SendToAll(PfKeyWriter? writer)
    {
        if (writer is not null)
        {
            space.SendToAll(writer.Written);
        }
    }
}
