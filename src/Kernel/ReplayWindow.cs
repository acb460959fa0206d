namespace Xfrmd.Kernel;

/// <summary>
/// The sequence numbers of one SA, both ways. Mirrors <c>net/xfrm/xfrm_replay.c</c>. Sending takes no lock. Receivers hold a spin lock for
/// the few instructions that advance the window; the check before it, and control operations, never take it: they read what they read again
/// where a receiver wrote meanwhile. What a client sets comes with a new object.
/// </summary>
public sealed class ReplayWindow
{
    private readonly ReplayMode _mode;
    private readonly uint _window;
    private readonly uint[] _bitmap;
    private readonly bool _mayWrap;
    private SpinLock _receivers = new(enableThreadOwnerTracking: false);
    private int _version;      // odd while a receiver writes
    private ulong _outbound;   // the last number sent; low 32 bits only unless ESN
    private uint _seq;
    private uint _seqHi;

    public ReplayWindow(ReplayState state, bool mayWrap)
    {
        _mode = state.Mode;
        _window = state.Window;
        _mayWrap = mayWrap;
        _bitmap = _mode == ReplayMode.Legacy && state.Bitmap.Count == 0 ? new uint[1] : [.. state.Bitmap];
        _outbound = _mode == ReplayMode.Esn ? ((ulong)state.OseqHi << 32) | state.Oseq : state.Oseq;
        OutboundHighOfBitmap = _mode == ReplayMode.Bitmap ? state.OseqHi : 0;
        _seq = state.Seq;
        _seqHi = state.SeqHi;
    }

    public ReplayMode Mode => _mode;
    public uint Window => _window;
    public bool IsEsn => _mode == ReplayMode.Esn;
    private uint OutboundHighOfBitmap { get; }

    /// <summary>What it was before the first packet, where it began with none.</summary>
    internal ReplayState Unused => new() { Mode = _mode, Window = _window, Bitmap = new uint[_bitmap.Length] };

    /// <summary><c>xfrm_replay_overflow</c>: takes the next <paramref name="count"/> numbers; false: the counter is at its end (XfrmOutStateSeqError, EOVERFLOW).</summary>
    /// <param name="count">How many packets will be numbered; all or none.</param>
    /// <param name="first">The first number; ESN: all 64 bits, otherwise 32.</param>
    public bool TryReserve(int count, out ulong first)
    {
        for (; ; )
        {
            ulong current = Volatile.Read(ref _outbound);
            ulong next = current + (uint)count;
            if (_mode == ReplayMode.Esn)
            {
                if (next < current)
                {
                    first = 0;
                    return false;
                }
            }
            else if (next > uint.MaxValue)
            {
                if (!_mayWrap)
                {
                    first = 0;
                    return false;
                }
                next &= uint.MaxValue;
            }
            if (Interlocked.CompareExchange(ref _outbound, next, current) == current)
            {
                first = _mode == ReplayMode.Esn ? current + 1 : (uint)(current + 1);
                return true;
            }
        }
    }

    /// <summary>So many numbers are left, unless another thread takes them.</summary>
    public bool HasNumbers(int count)
    {
        ulong last = Volatile.Read(ref _outbound);
        return _mode == ReplayMode.Esn ? ulong.MaxValue - last >= (uint)count : _mayWrap || uint.MaxValue - last >= (uint)count;
    }

    /// <summary><c>xfrm_replay_seqhi</c>: the high 32 bits that a received number must have.</summary>
    public uint InferHigh(uint sequence)
    {
        if (_mode != ReplayMode.Esn)
        {
            return 0;
        }
        (uint top, uint high) = ReadTop();
        return InferHigh(sequence, top, high);
    }

    /// <summary><c>xfrm_replay_check</c>, before decryption.</summary>
    public ReplayVerdict Check(uint sequence)
    {
        SpinWait spin = default;
        for (; ; )
        {
            int version = Volatile.Read(ref _version);
            ReplayVerdict verdict = CheckOnce(sequence);
            Volatile.ReadBarrier();
            if ((version & 1) == 0 && version == _version)
            {
                return verdict;
            }
            spin.SpinOnce();
        }
    }

    /// <summary>
    /// <c>xfrm_replay_recheck</c> and <c>xfrm_replay_advance</c>, after the packet proved authentic. With ESN the high bits must still be
    /// those that were used to decrypt (<paramref name="sequenceHigh"/>).
    /// </summary>
    public ReplayVerdict RecheckAndAdvance(uint sequence, uint sequenceHigh)
    {
        bool taken = false;
        _receivers.Enter(ref taken);
        ReplayVerdict verdict = ReplayVerdict.BelowWindow;
        if (_mode != ReplayMode.Esn || InferHigh(sequence, _seq, _seqHi) == sequenceHigh)
        {
            verdict = CheckOnce(sequence);
            if (verdict == ReplayVerdict.Fresh && _window != 0)
            {
                _version++;
                Volatile.WriteBarrier();
                AdvanceLocked(sequence);
                Volatile.Write(ref _version, _version + 1);
            }
        }
        _receivers.Exit(useMemoryBarrier: false);
        return verdict;
    }

    /// <summary>The state as a client reads it. Takes no lock: it reads again when a receiver wrote meanwhile.</summary>
    public ReplayState Snapshot()
    {
        SpinWait spin = default;
        for (; ; )
        {
            int version = Volatile.Read(ref _version);
            uint[] bitmap = [.. _bitmap];
            (uint seq, uint seqHi) = (_seq, _seqHi);
            Thread.MemoryBarrier();
            if ((version & 1) == 0 && version == Volatile.Read(ref _version))
            {
                ulong outbound = Volatile.Read(ref _outbound);
                return new ReplayState
                {
                    Mode = _mode,
                    Oseq = (uint)outbound,
                    OseqHi = _mode == ReplayMode.Esn ? (uint)(outbound >> 32) : OutboundHighOfBitmap,
                    Seq = seq,
                    SeqHi = seqHi,
                    Window = _window,
                    Bitmap = bitmap,
                };
            }
            spin.SpinOnce();
        }
    }

    private (uint Top, uint High) ReadTop()
    {
        SpinWait spin = default;
        for (; ; )
        {
            int version = Volatile.Read(ref _version);
            (uint top, uint high) = (Volatile.Read(ref _seq), Volatile.Read(ref _seqHi));
            if ((version & 1) == 0 && version == Volatile.Read(ref _version))
            {
                return (top, high);
            }
            spin.SpinOnce();
        }
    }

    // RFC 4303 appendix A2.2: case A, the window lies in one subspace; case B, it spans two.
    private uint InferHigh(uint sequence, uint top, uint high)
    {
        uint bottom = top - _window + 1;
        if (top >= _window - 1)
        {
            return sequence < bottom ? high + 1 : high;
        }
        return sequence >= bottom ? high - 1 : high;
    }

    private ReplayVerdict CheckOnce(uint sequence) => _mode == ReplayMode.Esn ? CheckEsn(sequence) : CheckPlain(sequence);

    // xfrm_replay_check_legacy, xfrm_replay_check_bmp
    private ReplayVerdict CheckPlain(uint sequence)
    {
        bool isLegacy = _mode == ReplayMode.Legacy;
        if (_window == 0)
        {
            return ReplayVerdict.Fresh;
        }
        if (sequence == 0)
        {
            return ReplayVerdict.Invalid;
        }
        if (sequence > _seq)
        {
            return ReplayVerdict.Fresh;
        }
        uint behind = _seq - sequence;
        if (behind >= (isLegacy ? Math.Min(_window, 32) : _window))
        {
            return ReplayVerdict.BelowWindow;
        }
        bool isSet = isLegacy ? (_bitmap[0] & (1u << (int)behind)) != 0 : IsSet(BitOf(behind));
        return isSet ? ReplayVerdict.Replayed : ReplayVerdict.Fresh;
    }

    // xfrm_replay_check_esn
    private ReplayVerdict CheckEsn(uint sequence)
    {
        if (_window == 0)
        {
            return ReplayVerdict.Fresh;
        }
        uint top = _seq, bottom = top - _window + 1;
        if (sequence == 0 && _seqHi == 0 && top < _window - 1)
        {
            return ReplayVerdict.Invalid;
        }
        uint behind = top - sequence;
        if (top >= _window - 1)
        {
            // Case A: numbers above the top, or below the bottom (the next epoch), are new.
            if (sequence > top || sequence < bottom)
            {
                return ReplayVerdict.Fresh;
            }
        }
        else if (sequence > top && sequence < bottom)
        {
            // Case B: between top and bottom nothing has been seen.
            return ReplayVerdict.Fresh;
        }
        if (behind >= _window)
        {
            return ReplayVerdict.BelowWindow;
        }
        return IsSet(BitOf(behind)) ? ReplayVerdict.Replayed : ReplayVerdict.Fresh;
    }

    private void AdvanceLocked(uint sequence)
    {
        switch (_mode)
        {
            case ReplayMode.Legacy:
                if (sequence > _seq)
                {
                    uint ahead = sequence - _seq;
                    _bitmap[0] = ahead < Math.Min(_window, 32) ? (_bitmap[0] << (int)ahead) | 1 : 1;
                    _seq = sequence;
                }
                else
                {
                    _bitmap[0] |= 1u << (int)(_seq - sequence);
                }
                break;

            case ReplayMode.Bitmap:
                AdvanceRing(sequence, sequence > _seq, sequence - _seq, 0);
                break;

            default:
                uint high = InferHigh(sequence, _seq, _seqHi);
                int wrapped = (int)(high - _seqHi);
                bool forward = (wrapped == 0 && sequence > _seq) || wrapped > 0;
                uint distance = wrapped > 0 ? ~_seq + sequence + 1 : sequence - _seq;
                AdvanceRing(sequence, forward, distance, (uint)Math.Max(wrapped, 0));
                break;
        }
    }

    // xfrm_replay_advance_bmp/esn: the ring is indexed by (seq - 1) % window.
    private void AdvanceRing(uint sequence, bool forward, uint distance, uint wraps)
    {
        uint position = (_seq - 1) % _window;
        uint bit;
        if (forward && sequence - 1 < _seq - 1)
        {
            Relocate(sequence, distance);
            _seqHi += wraps;
            bit = BitOf(0);
        }
        else if (forward)
        {
            bit = position + distance;
            if (distance < _window)
            {
                bit = bit < _window ? bit : bit - _window;
                for (uint i = 1; i < distance; i++)
                {
                    uint clear = (position + i) % _window;
                    _bitmap[clear >> 5] &= ~(1u << (int)(clear & 31));
                }
            }
            else
            {
                // The last word may reach past the window: clear it whole, as Linux does.
                Array.Clear(_bitmap, 0, Math.Min(_bitmap.Length, (int)((_window - 1) >> 5) + 1));
                bit %= _window;
            }
            _seq = sequence;
            _seqHi += wraps;
        }
        else
        {
            bit = BitOf(_seq - sequence);
        }
        _bitmap[bit >> 5] |= 1u << (int)(bit & 31);
    }

    // Where the number wraps (and at the first, from 0) a window that does not divide 2^32 has its bits elsewhere afterwards. Linux leaves
    // them, and takes a replay of the packets at the border for new; here they move along.
    private void Relocate(uint sequence, uint distance)
    {
        Span<uint> old = stackalloc uint[_bitmap.Length];
        _bitmap.CopyTo(old);
        uint oldPosition = (_seq - 1) % _window;
        Array.Clear(_bitmap);
        _seq = sequence;
        for (uint behind = 0; behind + distance < _window && distance < _window; behind++)
        {
            uint from = oldPosition >= behind ? oldPosition - behind : _window - (behind - oldPosition);
            if ((old[(int)(from >> 5)] & (1u << (int)(from & 31))) != 0)
            {
                uint to = BitOf(behind + distance);
                _bitmap[to >> 5] |= 1u << (int)(to & 31);
            }
        }
    }

    private uint BitOf(uint behind)
    {
        uint position = (_seq - 1) % _window;
        return position >= behind ? position - behind : _window - (behind - position);
    }

    private bool IsSet(uint bit) => (_bitmap[bit >> 5] & (1u << (int)(bit & 31))) != 0;
}
