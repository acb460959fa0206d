namespace Xfrmd.Kernel;

/// <summary>The registered key managers: <c>xfrm_km_list</c>. Calls come under <see cref="XfrmNamespace.Gate"/>.</summary>
public sealed class KeyManagers
{
    private volatile IKeyManager[] _managers = [];

    /// <summary>Joins; Linux registers netlink before PF_KEY, and MAPPING goes to the first that listens.</summary>
    public void Register(IKeyManager manager) => _managers = [.. _managers, manager];

    public bool ListensForAcquire => Array.Exists(_managers, static m => m.ListensForAcquire);

    public bool ListensForAevents
    {
        get
        {
            foreach (IKeyManager manager in _managers)   // asked for each packet
            {
                if (manager.ListensForAevents)
                {
                    return true;
                }
            }
            return false;
        }
    }

    /// <summary><c>km_state_notify</c>.</summary>
    public void Notify(in SaEvent notification)
    {
        foreach (IKeyManager manager in _managers)
        {
            manager.Notify(notification);
        }
    }

    /// <summary><c>km_policy_notify</c>.</summary>
    public void NotifyPolicy(in PolicyEvent notification)
    {
        foreach (IKeyManager manager in _managers)
        {
            manager.NotifyPolicy(notification);
        }
    }

    /// <summary><c>km_query</c>: all are asked; true where one listens.</summary>
    public bool Acquire(SecurityAssociation larval, in PolicyTemplate template, Policy policy)
    {
        bool heard = false;
        foreach (IKeyManager manager in _managers)
        {
            heard |= manager.Acquire(larval, template, policy);
        }
        return heard;
    }

    /// <summary><c>km_new_mapping</c>: the first that has a listener is told.</summary>
    public void NewMapping(SecurityAssociation sa, in XfrmAddress newAddress, Be16 newPort)
    {
        foreach (IKeyManager manager in _managers)
        {
            if (manager.NewMapping(sa, newAddress, newPort))
            {
                return;
            }
        }
    }

    /// <summary><c>km_migrate</c>.</summary>
    public void Migrate(in XfrmSelector selector, PolicyDirection direction, PolicyType type, IReadOnlyList<MigrateEntry> entries, KmAddress? kmAddress, XfrmEncapTmpl? encap)
    {
        foreach (IKeyManager manager in _managers)
        {
            manager.Migrate(selector, direction, type, entries, kmAddress, encap);
        }
    }
}
