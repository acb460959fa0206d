using System.Runtime.InteropServices;

namespace Xfrmd.Kernel;

/// <summary>
/// Security association database. Mirrors <c>net/xfrm/xfrm_state.c</c>. The lookups that packets make may come from any thread;
/// everything else comes under <see cref="XfrmNamespace.Gate"/>. Files: Sad.cs lookups and changes, Sad.Larval.cs SPI allocation and larval
/// SAs, Sad.Output.cs the choice of an SA for a template.
/// </summary>
public sealed partial class Sad
{
    private readonly XfrmNamespace _space;
    private readonly HashTable<SecurityAssociation, SpiKey> _bySpi = new();
    private readonly HashTable<SaChain, PathKey> _byPath = new();
    private readonly Dictionary<PathKey, List<SecurityAssociation>> _openLarvals = [];
    private readonly DatabaseList<SecurityAssociation> _all = new();
    private readonly Dictionary<uint, List<SecurityAssociation>> _larvalBySeq = [];
    private Dictionary<(uint Spi, byte Proto), int>? _spiUsers;
    private uint _acquireSeq;

    internal Sad(XfrmNamespace space) => _space = space;

    public int Count { get; private set; }

    /// <summary>Buckets that Linux would have by now (XFRMA_SAD_HINFO): it doubles as the table fills, and never shrinks.</summary>
    public uint HashBuckets { get; private set; } = 8;

    /// <summary><c>xfrm_state_lookup</c>: by what a packet carries. State is no part of it. Lock-free.</summary>
    /// <param name="mark">The packet's mark, or a request's masked one.</param>
    /// <param name="daddr">Outer destination.</param>
    /// <param name="spi">As it lies in the packet.</param>
    /// <param name="proto">ESP, AH, IPComp.</param>
    /// <param name="family">Of the outer header.</param>
    public SecurityAssociation? Lookup(uint mark, in XfrmAddress daddr, Be32 spi, byte proto, ushort family)
    {
        XfrmAddress address = daddr.Normalized(family);
        uint hash = SpiKey.Hash(address, spi.Raw, proto);
        HashTable<SecurityAssociation, SpiKey>.Chains chains = _bySpi.Current;
        SecurityAssociation? found;
        do
        {
            found = chains.First(hash);
            while (found is not null
                && (found.Id.Spi.Raw != spi.Raw || found.Id.Proto != proto || found.Family != family || !found.Id.Daddr.Equals(address, family) || !found.Mark.Matches(mark)))
            {
                found = chains.Next(found);
            }
        }
        while (_bySpi.HasChanged(ref chains));
        return found;
    }

    /// <summary><c>xfrm_state_lookup_byaddr</c>: for protocols without SPI.</summary>
    public SecurityAssociation? LookupByAddress(uint mark, in XfrmAddress daddr, in XfrmAddress saddr, byte proto, ushort family)
    {
        foreach (SecurityAssociation sa in All)
        {
            if (sa.Family == family && sa.Id.Proto == proto && sa.Id.Daddr.Equals(daddr, family)
                && sa.Saddr.Equals(saddr, family) && sa.Mark.Matches(mark))
            {
                return sa;
            }
        }
        return null;
    }

    /// <summary><c>__xfrm_state_locate</c>: the SA that this one would collide with.</summary>
    public SecurityAssociation? Locate(SecurityAssociation sa) => HasSpi(sa.Id.Proto)
        ? Lookup(sa.Mark.V & sa.Mark.M, sa.Id.Daddr, sa.Id.Spi, sa.Id.Proto, sa.Family)
        : LookupByAddress(sa.Mark.V & sa.Mark.M, sa.Id.Daddr, sa.Saddr, sa.Id.Proto, sa.Family);

    /// <summary><c>xfrm_state_add</c> (NEWSA): EEXIST where the key is taken; the larval SA that asked for it goes silently.</summary>
    public Outcome Add(SecurityAssociation sa)
    {
        if (Locate(sa) is not null)
        {
            return Errno.EEXIST;
        }
        SecurityAssociation? larval = null;
        if (HasSpi(sa.Id.Proto))
        {
            if (sa.KmSeq != 0)
            {
                larval = FindAcquireBySeq(sa.Mark, sa.KmSeq, sa.Pcpu);
                if (larval is not null && (larval.Id.Proto != sa.Id.Proto || !larval.Id.Daddr.Equals(sa.Id.Daddr, sa.Family)))
                {
                    larval = null;
                }
            }
            larval ??= FindLarval(sa.Mark, sa.Family, sa.Mode, sa.Reqid, sa.Pcpu, sa.Id.Proto, sa.Id.Daddr, sa.Saddr);
        }
        Insert(sa);
        if (larval is not null)
        {
            Delete(larval);
        }
        return Outcome.Ok;
    }

    /// <summary>
    /// <c>xfrm_state_update</c> (UPDSA): replaces a larval SA whole; of a valid one changes only encapsulation ports, lifetimes, SET_MARK and if_id.
    /// </summary>
    public Outcome Update(SecurityAssociation sa)
    {
        SecurityAssociation? present = Locate(sa);
        if (present is null)
        {
            return Errno.ESRCH;
        }
        if (present.IsInternalTunnel)
        {
            return Errno.EEXIST;
        }
        if (present.State == SaState.Acq)
        {
            if (sa.Direction != SaDirection.None && present.Direction != sa.Direction)
            {
                return Errno.ESRCH;
            }
            Insert(sa);
            Delete(present);
            return Outcome.Ok;
        }
        if (present.Direction != sa.Direction)
        {
            return Errno.ESRCH;
        }
        if (present.State != SaState.Valid)
        {
            return Errno.EINVAL;
        }
        if (sa.Encap is { } encap && present.Encap is { } old && encap.EncapType == old.EncapType)
        {
            present.Encap = encap;
        }
        else if (sa.Encap is not null || present.Encap is not null)
        {
            return Errno.EINVAL;
        }
        if (sa.CareOfAddress is not null && present.CareOfAddress is not null)
        {
            present.CareOfAddress = sa.CareOfAddress;
        }
        if (!HasSpi(sa.Id.Proto))
        {
            present.Selector = sa.Selector;
        }
        present.Lifetime = sa.Lifetime;
        present.IsDying = false;
        _space.Timers.Arm(present, seconds: 1);
        // Both are told before the update is: a soft limit at once, a hard one by a timer, which fires as soon as the SA's lock is given back.
        ExpiryVerdict expiry = present.UseTime != 0 ? present.CheckExpiry(_space.WallSeconds) : ExpiryVerdict.Alive;
        if (expiry == ExpiryVerdict.Soft)
        {
            _space.ExpireNow(present, hard: false);
        }
        if (sa.SetMark.IsSet || sa.IfId != 0)
        {
            present.SetMark = sa.SetMark.IsSet ? sa.SetMark : present.SetMark;
            present.IfId = sa.IfId != 0 ? sa.IfId : present.IfId;
        }
        if (expiry == ExpiryVerdict.Hard)
        {
            _space.ExpireNow(present, hard: true);
        }
        sa.State = SaState.Dead;
        _space.BumpGeneration();
        _space.Observers.SaInserted(present);
        return Outcome.Ok;
    }

    /// <summary><c>xfrm_state_insert</c>: without any check for duplicates.</summary>
    public void Insert(SecurityAssociation sa)
    {
        // __xfrm_state_insert: an SA that is only the carrier of an update keeps and tells its mark as it came.
        sa.Mark = sa.Mark.Masked;
        Link(sa);
        _space.Timers.Arm(sa, seconds: 1);
        _space.Timers.ArmReplay(sa, sa.ReplayMaxAge);
        _space.Keepalives.Add(sa);
        _space.BumpGeneration();
        _space.Observers.SaInserted(sa);
    }

    /// <summary><c>xfrm_state_delete</c>. False where it had gone already. No event.</summary>
    public bool Delete(SecurityAssociation sa)
    {
        if (!Unlink(sa))
        {
            return false;
        }
        _space.BumpGeneration();
        _space.Observers.SasRemoved([sa]);
        return true;
    }

    /// <summary><c>xfrm_state_flush</c>. Returns how many went; internal tunnel SAs stay until their users are gone.</summary>
    public int Flush(byte proto)
    {
        List<SecurityAssociation> removed = [.. All.Where(sa => !sa.IsInternalTunnel && IpProtocol.Matches(sa.Id.Proto, proto))];
        if (removed.Count == Count)
        {
            Clear(removed);
        }
        else
        {
            removed.RemoveAll(sa => !Unlink(sa));
        }
        if (removed.Count > 0)
        {
            _space.BumpGeneration();
            _space.Observers.SasRemoved(removed);
        }
        return removed.Count;
    }

    /// <summary><c>xfrm_migrate_state_find</c>: the newest SA that starts where the entry does; reqid 0 fits all.</summary>
    public SecurityAssociation? FindForMigration(in MigrateEntry entry, uint ifId)
    {
        foreach (SecurityAssociation sa in All)
        {
            // Of that family: what Linux hashes the addresses by.
            if (sa.Family == entry.OldFamily && sa.Mode == entry.Mode && sa.Id.Proto == entry.Proto && (entry.Reqid == 0 || sa.Reqid == entry.Reqid)
                && (ifId == 0 || sa.IfId == ifId)
                && sa.Id.Daddr.Equals(entry.OldDaddr, entry.OldFamily) && sa.Saddr.Equals(entry.OldSaddr, entry.OldFamily))
            {
                return sa;
            }
        }
        return null;
    }

    /// <summary>All SAs, newest first, for the control path.</summary>
    public IEnumerable<SecurityAssociation> All
    {
        get
        {
            for (SecurityAssociation? sa = _all.After(null); sa is not null; sa = _all.After(sa))
            {
                yield return sa;
            }
        }
    }

    /// <summary>A walk over all SAs, newest first, that stays correct while the database changes (<c>xfrm_state_walk</c>).</summary>
    public DatabaseWalk<SecurityAssociation> Walk() => new(_all);

    internal static bool HasSpi(byte proto) => IpProtocol.Matches(proto, IpProtocol.IpsecAny);

    private void Link(SecurityAssociation sa)
    {
        AttachTunnel(sa);
        _all.AddFirst(sa);
        if (!sa.IsMisfiled)
        {
            PathKey path = PathKey.Of(sa);
            AddToPath(path, sa);
            if (sa.State == SaState.Acq && sa.Id.Spi.Raw == 0)
            {
                OpenLarval(path, sa);
            }
        }
        if (sa.Id.Spi.Raw != 0)
        {
            LinkSpi(sa);
        }
        if (sa.State == SaState.Acq && sa.KmSeq != 0)
        {
            IndexLarval(sa);
        }
        Count++;
        if (Count > HashBuckets && HashBuckets < 1 << 20)
        {
            HashBuckets *= 2;
        }
    }

    private void LinkSpi(SecurityAssociation sa)
    {
        _bySpi.Add(sa);
        if (_spiUsers is { } users)
        {
            CollectionsMarshal.GetValueRefOrAddDefault(users, (sa.Id.Spi.Raw, sa.Id.Proto), out _)++;
        }
    }

    private bool Unlink(SecurityAssociation sa)
    {
        if (sa.State == SaState.Dead || !sa.IsListed)
        {
            return false;
        }
        sa.State = SaState.Dead;
        DatabaseList<SecurityAssociation>.Remove(sa);
        Count--;
        ReleaseTunnel(sa);
        UnlinkPath(sa);
        if (sa.Id.Spi.Raw != 0)
        {
            UnlinkSpi(sa);
        }
        if (sa.KmSeq != 0 && _larvalBySeq.TryGetValue(sa.KmSeq, out List<SecurityAssociation>? larvals) && larvals.Remove(sa) && larvals.Count == 0)
        {
            _larvalBySeq.Remove(sa.KmSeq);
        }
        _space.Timers.Disarm(sa);
        _space.Keepalives.Remove(sa);
        return true;
    }

    // All at once: nobody who looks them up meanwhile can tell it from one by one.
    private void Clear(List<SecurityAssociation> all)
    {
        foreach (SecurityAssociation sa in all)
        {
            sa.State = SaState.Dead;
            _space.Keepalives.Remove(sa);
            DatabaseList<SecurityAssociation>.Remove(sa);
            _space.Timers.Disarm(sa);
        }
        _bySpi.Clear();
        _byPath.Clear();
        _openLarvals.Clear();
        _larvalBySeq.Clear();
        _spiUsers = null;
        Count = 0;
    }

    private void UnlinkPath(SecurityAssociation sa)
    {
        PathKey path = PathKey.Of(sa);
        if (!sa.IsMisfiled && FindPath(path) is { } chain)
        {
            if (chain.First == sa && sa.NextOnChain is null)
            {
                _byPath.Remove(chain);
            }
            chain.Remove(sa);
        }
        CloseLarval(sa);
    }

    private void AddToPath(in PathKey path, SecurityAssociation sa)
    {
        if (FindPath(path) is { } chain)
        {
            chain.Add(sa);
        }
        else
        {
            chain = new SaChain();
            chain.Add(sa);
            _byPath.Add(chain);
        }
    }

    // Lock-free.
    private SaChain? FindPath(in PathKey path)
    {
        uint hash = path.Hash;
        HashTable<SaChain, PathKey>.Chains chains = _byPath.Current;
        SaChain? found;
        do
        {
            found = chains.First(hash);
            while (found is not null && (found.First is not { } first || !path.IsOf(first)))
            {
                found = chains.Next(found);
            }
        }
        while (_byPath.HasChanged(ref chains));
        return found;
    }

    private void UnlinkSpi(SecurityAssociation sa)
    {
        _bySpi.Remove(sa);
        if (_spiUsers is { } users && --CollectionsMarshal.GetValueRefOrNullRef(users, (sa.Id.Spi.Raw, sa.Id.Proto)) == 0)
        {
            users.Remove((sa.Id.Spi.Raw, sa.Id.Proto));
        }
    }

    private readonly struct SpiKey : IHashed<SecurityAssociation>
    {
        public static ref HashLinks<SecurityAssociation> LinksOf(SecurityAssociation entry) => ref entry.SpiLinks;

        public static uint HashOf(SecurityAssociation entry) => Hash(entry.Id.Daddr.Normalized(entry.Family), entry.Id.Spi.Raw, entry.Id.Proto);

        public static uint Hash(in XfrmAddress daddr, uint spi, byte proto) => HashMix.Of(((ulong)spi << 8) | proto, (uint)daddr.GetHashCode());
    }

    /// <summary>The <c>bydst</c> chain: SAs between two addresses for one reqid.</summary>
    private readonly record struct PathKey(XfrmAddress Daddr, XfrmAddress Saddr, uint Reqid, ushort Family) : IHashed<SaChain>
    {
        public uint Hash => HashMix.Of(((ulong)(uint)Daddr.GetHashCode() << 32) | (uint)Saddr.GetHashCode(), Reqid);

        public bool IsOf(SecurityAssociation sa) =>
            Reqid == sa.Reqid && Family == sa.Family && Daddr.Equals(sa.Id.Daddr, Family) && Saddr.Equals(sa.Saddr, Family);

        public static PathKey Of(SecurityAssociation sa) =>
            new(sa.Id.Daddr.Normalized(sa.Family), sa.Saddr.Normalized(sa.Family), sa.Reqid, sa.Family);

        public static ref HashLinks<SaChain> LinksOf(SaChain entry) => ref entry.Links;

        public static uint HashOf(SaChain entry) => Of(entry.First!).Hash;
    }
}
