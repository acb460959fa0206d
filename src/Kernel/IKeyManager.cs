namespace Xfrmd.Kernel;

/// <summary>
/// A front door that is told what happens: <c>struct xfrm_mgr</c>. Netlink and PfKey each register one per namespace. All calls come under
/// <see cref="XfrmNamespace.Gate"/>, in the order in which things happened; they only queue datagrams.
/// </summary>
public interface IKeyManager
{
    void Notify(in SaEvent notification);

    void NotifyPolicy(in PolicyEvent notification);

    /// <summary>Asks for an SA. True where somebody listens (the larval SA then stays).</summary>
    bool Acquire(SecurityAssociation larval, in PolicyTemplate template, Policy policy);

    /// <summary>The peer of an ESP-in-UDP SA was seen at another address or port. True where somebody was told; later managers then are not.</summary>
    bool NewMapping(SecurityAssociation sa, in XfrmAddress newAddress, Be16 newPort);

    void Migrate(in XfrmSelector selector, PolicyDirection direction, PolicyType type, IReadOnlyList<MigrateEntry> entries, KmAddress? kmAddress, XfrmEncapTmpl? encap);

    /// <summary><c>is_alive</c>: whether anybody listens for ACQUIRE.</summary>
    bool ListensForAcquire { get; }

    /// <summary>Whether anybody listens for AEVENTS (<c>xfrm_aevent_is_on</c>).</summary>
    bool ListensForAevents { get; }
}
