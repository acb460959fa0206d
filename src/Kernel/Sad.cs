using System.Collections.Concurrent;
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
    private readonly ConcurrentDictionary<SpiKey, SecurityAssociation[]> _bySpi = new(1, 31);
    private readonly Dictionary<(uint Spi, byte Proto), int> _spiUsers = [];
    private readonly ConcurrentDictionary<PathKey, SaChain> _byPath = new(1, 31);
    private readonly Dictionary<PathKey, List<SecurityAssociation>> _openLarvals = [];
    private readonly LinkedList<SecurityAssociation?> _all = new();
    private readonly Dictionary<uint, List<SecurityAssociation>> _larvalBySeq = [];
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
        if (_bySpi.TryGetValue(new SpiKey(daddr.Normalized(family), spi.Raw, proto, family), out SecurityAssociation[]? chain))
        {
            foreach (SecurityAssociation sa in chain)
            {
                if (sa.Mark.Matches(mark))
                {
                    return sa;
                }
            }
        }
        return null;
    }

    /// <summary><c>xfrm_state_lookup_byaddr</c>: for protocols without SPI.</summary>
    public SecurityAssociation? LookupByAddress(uint mark, in XfrmAddress daddr, in XfrmAddress saddr, byte proto, ushort family)
    {
        foreach (SecurityAssociation? sa in _all)
        {
            if (sa is not null && sa.Family == family && sa.Id.Proto == proto && sa.Id.Daddr.Equals(daddr, family)
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
        if (present.UseTime != 0)
        {
            switch (present.CheckExpiry(_space.WallSeconds))
            {
                // Told before the update is: the timer of a hard limit fires as soon as the SA's lock is given back.
                case ExpiryVerdict.Soft:
                    _space.ExpireNow(present, hard: false);
                    break;
                case ExpiryVerdict.Hard:
                    _space.ExpireNow(present, hard: true);
                    break;
            }
        }
        if (sa.SetMark.IsSet || sa.IfId != 0)
        {
            present.SetMark = sa.SetMark.IsSet ? sa.SetMark : present.SetMark;
            present.IfId = sa.IfId != 0 ? sa.IfId : present.IfId;
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
        removed.RemoveAll(sa => !Unlink(sa));
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
        foreach (SecurityAssociation? sa in _all)
        {
            // Of that family: what Linux hashes the addresses by.
            if (sa is not null && sa.Family == entry.OldFamily && sa.Mode == entry.Mode && sa.Id.Proto == entry.Proto && (entry.Reqid == 0 || sa.Reqid == entry.Reqid)
                && (ifId == 0 || sa.IfId == ifId)
                && sa.Id.Daddr.Equals(entry.OldDaddr, entry.OldFamily) && sa.Saddr.Equals(entry.OldSaddr, entry.OldFamily))
            {
                return sa;
            }
        }
        return null;
    }

    /// <summary>All SAs, newest first, for the control path.</summary>
    public IEnumerable<SecurityAssociation> All => _all.OfType<SecurityAssociation>();

    /// <summary>A walk over all SAs, newest first, that stays correct while the database changes (<c>xfrm_state_walk</c>).</summary>
    public DatabaseWalk<SecurityAssociation> Walk() => new(_all);

    internal static bool HasSpi(byte proto) => IpProtocol.Matches(proto, IpProtocol.IpsecAny);

    private void Link(SecurityAssociation sa)
    {
        AttachTunnel(sa);
        sa.Node = _all.AddFirst(sa);
        if (!sa.IsMisfiled)
        {
            PathKey path = PathKey.Of(sa);
            _byPath.GetOrAdd(path, static _ => new SaChain()).Add(sa);
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
        SpiKey key = SpiKey.Of(sa);
        _bySpi[key] = _bySpi.TryGetValue(key, out SecurityAssociation[]? present) ? [sa, .. present] : [sa];
        CollectionsMarshal.GetValueRefOrAddDefault(_spiUsers, (sa.Id.Spi.Raw, sa.Id.Proto), out _)++;
    }

    private bool Unlink(SecurityAssociation sa)
    {
        if (sa.State == SaState.Dead || sa.Node?.List is null)
        {
            return false;
        }
        sa.State = SaState.Dead;
        _all.Remove(sa.Node);
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

    private void UnlinkPath(SecurityAssociation sa)
    {
        PathKey path = PathKey.Of(sa);
        if (!sa.IsMisfiled && _byPath.TryGetValue(path, out SaChain? chain))
        {
            chain.Remove(sa);
            if (chain.First is null)
            {
                _byPath.TryRemove(path, out _);
            }
        }
        CloseLarval(sa);
    }

    private void UnlinkSpi(SecurityAssociation sa)
    {
        SpiKey key = SpiKey.Of(sa);
        if (!_bySpi.TryGetValue(key, out SecurityAssociation[]? chain))
        {
            return;
        }
        if (--CollectionsMarshal.GetValueRefOrNullRef(_spiUsers, (sa.Id.Spi.Raw, sa.Id.Proto)) == 0)
        {
            _spiUsers.Remove((sa.Id.Spi.Raw, sa.Id.Proto));
        }
        if (chain.Length == 1 && chain[0] == sa)
        {
            _bySpi.TryRemove(key, out _);
        }
        else
        {
            _bySpi[key] = [.. chain.Where(other => other != sa)];
        }
    }

    private readonly record struct SpiKey(XfrmAddress Daddr, uint Spi, byte Proto, ushort Family)
    {
        public static SpiKey Of(SecurityAssociation sa) => new(sa.Id.Daddr.Normalized(sa.Family), sa.Id.Spi.Raw, sa.Id.Proto, sa.Family);
        public override int GetHashCode() => Daddr.GetHashCode() ^ (int)(Spi * 0x9E3779B1u) ^ Proto;
    }

    /// <summary>The <c>bydst</c> chain: SAs between two addresses for one reqid.</summary>
    private readonly record struct PathKey(XfrmAddress Daddr, XfrmAddress Saddr, uint Reqid, ushort Family)
    {
        public static PathKey Of(SecurityAssociation sa) =>
            new(sa.Id.Daddr.Normalized(sa.Family), sa.Saddr.Normalized(sa.Family), sa.Reqid, sa.Family);

        public override int GetHashCode() => (Daddr.GetHashCode() * 31) ^ Saddr.GetHashCode() ^ (int)(Reqid * 0x9E3779B1u);
    }
}
