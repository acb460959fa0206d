using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Xfrmd.Kernel;

public sealed partial class Sad
{
    /// <summary>The next <c>km.seq</c> of an ACQUIRE: counts up, skips 0 (<c>xfrm_get_acqseq</c>).</summary>
    public uint NextAcquireSeq()
    {
        if (++_acquireSeq == 0)
        {
            ++_acquireSeq;
        }
        return _acquireSeq;
    }

    /// <summary><c>xfrm_find_acq_byseq</c>.</summary>
    public SecurityAssociation? FindAcquireBySeq(XfrmMark mark, uint seq, uint? pcpu)
    {
        if (_larvalBySeq.TryGetValue(seq, out List<SecurityAssociation>? larvals))
        {
            foreach (SecurityAssociation sa in larvals)
            {
                if (sa.State == SaState.Acq && sa.Mark.Matches(mark.V & mark.M) && sa.Pcpu == pcpu)
                {
                    return sa;
                }
            }
        }
        return null;
    }

    /// <summary><c>__find_acq_core</c> without creation: the larval SA without SPI for these.</summary>
    public SecurityAssociation? FindLarval(XfrmMark mark, ushort family, XfrmMode mode, uint reqid, uint? pcpu, byte proto, in XfrmAddress daddr, in XfrmAddress saddr)
    {
        PathKey path = new(daddr.Normalized(family), saddr.Normalized(family), reqid, family);
        if (_openLarvals.TryGetValue(path, out List<SecurityAssociation>? larvals))
        {
            for (int i = larvals.Count - 1; i >= 0; i--)
            {
                SecurityAssociation sa = larvals[i];
                if (sa.State == SaState.Acq && sa.Id.Spi.Raw == 0 && sa.Mode == mode && sa.Id.Proto == proto && sa.Pcpu == pcpu
                    && sa.Mark.Matches(mark.V & mark.M))
                {
                    return sa;
                }
            }
        }
        return null;
    }

    /// <summary><c>xfrm_find_acq</c>: the larval SA for these, made where there is none.</summary>
    public SecurityAssociation FindOrCreateLarval(XfrmMark mark, ushort family, XfrmMode mode, uint reqid, uint ifId, uint? pcpu, byte proto, in XfrmAddress daddr, in XfrmAddress saddr)
    {
        if (FindLarval(mark, family, mode, reqid, pcpu, proto, daddr, saddr) is { } present)
        {
            return present;
        }
        SecurityAssociation larval = new()
        {
            Family = family,
            Mode = mode,
            Reqid = reqid,
            IfId = ifId,
            Pcpu = pcpu,
            Mark = mark,
            State = SaState.Acq,
            AddTime = _space.WallSeconds,
            Lifetime = XfrmLifetimeCfg.Unlimited(_space.Sysctls.AcqExpires),
        };
        larval.Id.Proto = proto;
        byte prefix = family switch { AddressFamily.Inet => 32, AddressFamily.Inet6 => 128, _ => 0 };
        // No other family is refused, but its addresses are not kept.
        if (prefix != 0)
        {
            larval.Id.Daddr = larval.Selector.Daddr = daddr.Normalized(family);
            larval.Saddr = larval.Selector.Saddr = saddr.Normalized(family);
            larval.Selector.PrefixlenD = prefix;
            larval.Selector.PrefixlenS = prefix;
        }
        Link(larval);
        _space.Timers.Arm(larval, _space.Sysctls.AcqExpires);
        return larval;
    }

    /// <summary><c>verify_spi_info</c>: whether SPIs of this range can be asked for.</summary>
    public static Outcome VerifySpiRange(byte proto, uint low, uint high)
    {
        const uint ipcompLimit = 0x10000;   // CPIs have 16 bits
        if (proto is not (IpProtocol.Ah or IpProtocol.Esp or IpProtocol.Comp))
        {
            return Outcome.Reject(Errno.EINVAL, "Invalid protocol, must be one of AH, ESP, IPCOMP");
        }
        if (proto == IpProtocol.Comp && high >= ipcompLimit)
        {
            return Outcome.Reject(Errno.EINVAL, "IPCOMP SPI must be <= 65535");
        }
        return low > high ? Outcome.Reject(Errno.EINVAL, "Invalid SPI range: min > max") : Outcome.Ok;
    }

    /// <summary>
    /// <c>xfrm_alloc_spi</c>: gives a larval SA an SPI of [low, high] (host order) that no SA of its protocol has, whatever its addresses
    /// and mark (<c>xfrm_state_lookup_spi_proto</c>).
    /// </summary>
    public Outcome AllocateSpi(SecurityAssociation larval, uint low, uint high)
    {
        if (larval.State == SaState.Dead)
        {
            return Outcome.Reject(Errno.ENOENT, "Target ACQUIRE is in DEAD state");
        }
        if (larval.Id.Spi.Raw != 0)
        {
            return Outcome.Ok;
        }
        // The kernel's count is 32 bits wide too: 0..0xffffffff tries nothing.
        uint range = unchecked(high - low + 1);
        uint tries = Math.Min(range, 1u << 16);
        for (uint i = 0; i < tries; i++)
        {
            uint spi = low == high ? low : Draw(low, high);
            if (spi != 0 && !SpiUsers().ContainsKey((Be32.From(spi).Raw, larval.Id.Proto)))
            {
                CloseLarval(larval);
                larval.Id.Spi = Be32.From(spi);
                LinkSpi(larval);
                return Outcome.Ok;
            }
        }
        return Outcome.Reject(Errno.ENOENT, "No SPI available in the requested range");
    }

    // Counted from the first time on that somebody asks: who brings SPIs of his own never does.
    private Dictionary<(uint Spi, byte Proto), int> SpiUsers()
    {
        if (_spiUsers is null)
        {
            _spiUsers = [];
            foreach (SecurityAssociation sa in All)
            {
                if (sa.Id.Spi.Raw != 0)
                {
                    CollectionsMarshal.GetValueRefOrAddDefault(_spiUsers, (sa.Id.Spi.Raw, sa.Id.Proto), out _)++;
                }
            }
        }
        return _spiUsers;
    }

    private static uint Draw(uint low, uint high)
    {
        Span<byte> bytes = stackalloc byte[4];
        ulong span = (ulong)high - low + 1;
        ulong limit = (1UL << 32) - ((1UL << 32) % span);
        for (; ; )
        {
            RandomNumberGenerator.Fill(bytes);
            uint drawn = MemoryMarshal.Read<uint>(bytes);
            if (drawn < limit)
            {
                return low + (uint)(drawn % span);
            }
        }
    }

    private void OpenLarval(in PathKey path, SecurityAssociation sa)
    {
        if (!_openLarvals.TryGetValue(path, out List<SecurityAssociation>? larvals))
        {
            _openLarvals[path] = larvals = [];
        }
        larvals.Add(sa);
        sa.IsOpenLarval = true;
    }

    private void CloseLarval(SecurityAssociation sa)
    {
        if (!sa.IsOpenLarval)
        {
            return;
        }
        sa.IsOpenLarval = false;
        PathKey path = PathKey.Of(sa);
        if (_openLarvals.TryGetValue(path, out List<SecurityAssociation>? larvals) && larvals.Remove(sa) && larvals.Count == 0)
        {
            _openLarvals.Remove(path);
        }
    }

    private void IndexLarval(SecurityAssociation sa)
    {
        if (!_larvalBySeq.TryGetValue(sa.KmSeq, out List<SecurityAssociation>? larvals))
        {
            _larvalBySeq[sa.KmSeq] = larvals = [];
        }
        larvals.Add(sa);
    }

    /// <summary>Gives a larval SA the sequence number by which its ACQUIRE is known; the last key manager's number stays.</summary>
    public void SetAcquireSeq(SecurityAssociation larval, uint seq)
    {
        if (larval.KmSeq != 0 && _larvalBySeq.TryGetValue(larval.KmSeq, out List<SecurityAssociation>? present))
        {
            present.Remove(larval);
        }
        larval.KmSeq = seq;
        if (seq != 0 && larval.IsListed)
        {
            IndexLarval(larval);
        }
    }
}
