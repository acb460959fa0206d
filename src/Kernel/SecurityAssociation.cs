using Xfrmd.Crypto;

namespace Xfrmd.Kernel;

/// <summary>
/// One entry of the security association database: <c>struct xfrm_state</c>. What a message sets is set before the SA is inserted and
/// changed later only under <see cref="XfrmNamespace.Gate"/>; the packet path reads it, and writes the counters with interlocked operations.
/// </summary>
public sealed class SecurityAssociation : DatabaseEntry<SecurityAssociation>, IDisposable
{
    private const int MaxTransforms = 6;   // XFRM_MAX_DEPTH
    private long _bytes;
    private long _packets;
    private long _useTime;
    private long _lastUsed;
    private int _state = (int)SaState.Void;
    private int _dying;
    private int _statReplayWindow;
    private int _statReplay;
    private int _statIntegrityFailed;
    private int _disposed;
    private SecurityAssociation? _nextOnChain;
    private ReplayWindow? _replay;
    private ReplayState? _lastNotifiedReplay;
    private SaExtras? _extras;

    /// <summary>Transforms that one packet may go through.</summary>
    public static int MaxDepth => MaxTransforms;

    public XfrmSelector Selector;
    public XfrmId Id;
    public XfrmAddress Saddr;
    public XfrmLifetimeCfg Lifetime = XfrmLifetimeCfg.Unlimited();

    public ushort Family { get; set; }
    public XfrmMode Mode { get; set; }
    public uint Reqid { get; set; }

    /// <summary><c>km.seq</c>: what joins an SA to the ACQUIRE that asked for it.</summary>
    public uint KmSeq { get; set; }

    /// <summary><c>props.replay_window</c>: the body's field, at most 32; 0 where XFRMA_REPLAY_ESN_VAL was given.</summary>
    public byte LegacyReplayWindow { get; set; }

    public SaFlags Flags { get; set; }
    public SaExtraFlags ExtraFlags { get; set; }
    public SaAead? Aead { get; set; }
    public SaAuth? Auth { get; set; }
    public SaCrypt? Crypt { get; set; }
    public SaComp? Comp
    {
        get => _extras?.Comp;
        set => SetExtra(value is not null, value, static (extras, value) => extras.Comp = value);
    }

    /// <summary><c>props.aalgo/ealgo/calgo</c>: the algorithms' PF_KEY numbers, 0 where there is none.</summary>
    public int AuthId { get; set; }
    public int CipherId { get; set; }
    public int CompressionId { get; set; }
    public XfrmEncapTmpl? Encap
    {
        get => _extras?.Encap;
        set => SetExtra(value is not null, value, static (extras, value) => extras.Encap = value);
    }
    public XfrmAddress? CareOfAddress
    {
        get => _extras?.CareOfAddress;
        set => SetExtra(value is not null, value, static (extras, value) => extras.CareOfAddress = value);
    }
    public uint TfcPad
    {
        get => _extras?.TfcPad ?? 0;
        set => SetExtra(value != 0, value, static (extras, value) => extras.TfcPad = value);
    }
    public XfrmMark Mark { get; set; }
    public XfrmMark SetMark
    {
        get => _extras?.SetMark ?? default;
        set => SetExtra(value != default, value, static (extras, value) => extras.SetMark = value);
    }
    public uint IfId { get; set; }
    public SaDirection Direction { get; set; }

    /// <summary>XFRMA_SA_PCPU; null where the SA belongs to no CPU (<c>UINT_MAX</c>).</summary>
    public uint? Pcpu
    {
        get => _extras?.Pcpu;
        set => SetExtra(value is not null, value, static (extras, value) => extras.Pcpu = value);
    }
    public uint NatKeepaliveInterval
    {
        get => _extras?.NatKeepaliveInterval ?? 0;
        set => SetExtra(value != 0, value, static (extras, value) => extras.NatKeepaliveInterval = value);
    }

    /// <summary>XFRMA_MTIMER_THRESH: seconds between MAPPING events.</summary>
    public uint MappingMaxAge
    {
        get => _extras?.MappingMaxAge ?? 0;
        set => SetExtra(value != 0, value, static (extras, value) => extras.MappingMaxAge = value);
    }
    public SaIptfs? Iptfs
    {
        get => _extras?.Iptfs;
        set => SetExtra(value is not null, value, static (extras, value) => extras.Iptfs = value);
    }
    public byte[] SecurityContext
    {
        get => _extras?.SecurityContext ?? [];
        set => SetExtra(value.Length != 0, value, static (extras, value) => extras.SecurityContext = value);
    }

    /// <summary>Packets between two AEVENTs.</summary>
    public uint ReplayMaxDiff { get; set; }

    /// <summary>XFRMA_ETIMER_THRESH as stored: jiffies of 1/<see cref="JiffiesPerSecond"/> s.</summary>
    public uint ReplayMaxAge { get; set; }

    /// <summary>HZ of the kernel that we answer as (x86-64 distributions: 250 or 1000; the recordings: 250).</summary>
    public const uint JiffiesPerSecond = 250;

    /// <summary>The internal IPIP SA that IPComp tunnels share (<c>XFRM_STATE... tunnel</c>): no client may delete it.</summary>
    public bool IsInternalTunnel { get; set; }

    /// <summary>The internal tunnel SA that this one leans on.</summary>
    internal SecurityAssociation? Tunnel
    {
        get => _extras?.Tunnel;
        set => SetExtra(value is not null, value, static (extras, value) => extras.Tunnel = value);
    }

    /// <summary>Users of an internal tunnel SA.</summary>
    public int TunnelUsers
    {
        get => _extras?.TunnelUsers ?? 0;
        set => SetExtra(value != 0, value, static (extras, value) => extras.TunnelUsers = value);
    }

    /// <summary>Wall-clock seconds of creation.</summary>
    public ulong AddTime { get; set; }

    /// <summary>The sequence numbers and the window. Replaced whole when a client sets them.</summary>
    public ReplayWindow Replay => _replay ?? FirstReplay();

    /// <summary>The replay state at the last AEVENT.</summary>
    internal ReplayState LastNotifiedReplay
    {
        get => _lastNotifiedReplay ?? Replay.Unused;
        set => _lastNotifiedReplay = value.IsUnused ? null : value;
    }

    /// <summary>The cipher of an ESP SA; null for others and for larval SAs.</summary>
    public EspTransform? Esp { get; private set; }

    /// <summary>The integrity algorithm of an AH SA.</summary>
    public AuthTransform? Ah { get; private set; }

    public SaState State
    {
        get => (SaState)Volatile.Read(ref _state);
        set => Volatile.Write(ref _state, (int)value);
    }

    /// <summary>A soft limit was reached (<c>km.dying</c>).</summary>
    public bool IsDying
    {
        get => Volatile.Read(ref _dying) != 0;
        set => Volatile.Write(ref _dying, value ? 1 : 0);
    }

    /// <summary>Wall-clock seconds of the last packet (XFRMA_LASTUSED), 0: never.</summary>
    public ulong LastUsed
    {
        get => (ulong)Interlocked.Read(ref _lastUsed);
        set => Interlocked.Exchange(ref _lastUsed, (long)value);
    }

    /// <summary><c>curlft</c>.</summary>
    public XfrmLifetimeCur CurrentLifetime
    {
        get => new()
        {
            Bytes = (ulong)Interlocked.Read(ref _bytes),
            Packets = (ulong)Interlocked.Read(ref _packets),
            AddTime = AddTime,
            UseTime = (ulong)Interlocked.Read(ref _useTime),
        };
        set
        {
            Interlocked.Exchange(ref _bytes, (long)value.Bytes);
            Interlocked.Exchange(ref _packets, (long)value.Packets);
            Interlocked.Exchange(ref _useTime, (long)value.UseTime);
            AddTime = value.AddTime;
        }
    }

    public XfrmStats Stats => new()
    {
        ReplayWindow = (uint)Volatile.Read(ref _statReplayWindow),
        Replay = (uint)Volatile.Read(ref _statReplay),
        IntegrityFailed = (uint)Volatile.Read(ref _statIntegrityFailed),
    };

    public SaCounts Counts => new(CurrentLifetime, Stats);

    public ulong UseTime => (ulong)Interlocked.Read(ref _useTime);

    internal SaTimer Timer;

    /// <summary>Seconds of the monotonic clock at the last MAPPING event, with its port.</summary>
    internal (ulong At, ushort Port) LastMapping
    {
        get => _extras is { } extras ? (extras.LastMapping, extras.LastMappingPort) : default;
        set => SetExtra(true, value, static (extras, value) => (extras.LastMapping, extras.LastMappingPort) = value);
    }

    internal LinkedListNode<SecurityAssociation>? KeepaliveNode
    {
        get => _extras?.KeepaliveNode;
        set => SetExtra(value is not null, value, static (extras, value) => extras.KeepaliveNode = value);
    }

    /// <summary><c>nat_keepalive_expiration</c>: wall-clock seconds of the next keepalive, while packets make it needless.</summary>
    internal ulong KeepaliveExpiration
    {
        get => _extras?.KeepaliveExpiration ?? 0;
        set => SetExtra(value != 0, value, static (extras, value) => extras.KeepaliveExpiration = value);
    }

    /// <summary>Leads on by address, SPI and protocol: the SAD's.</summary>
    internal HashLinks<SecurityAssociation> SpiLinks;

    /// <summary>Neighbours on the <see cref="SaChain"/>.</summary>
    internal SecurityAssociation? NextOnChain
    {
        get => Volatile.Read(ref _nextOnChain);
        set => Volatile.Write(ref _nextOnChain, value);
    }

    internal SecurityAssociation? PreviousOnChain { get; set; }

    /// <summary>A larval SA that still waits for an SPI, and is found by its addresses.</summary>
    internal bool IsOpenLarval { get; set; }

    /// <summary>
    /// A larval SA whose template names other ends than the packet has (in transport mode): Linux files it under the packet's, where neither a
    /// packet nor a key manager finds it by addresses.
    /// </summary>
    internal bool IsMisfiled { get; set; }

    public bool IsEsn => (Flags & SaFlags.Esn) != 0;

    /// <summary>Mode is one whose outer header is built from the SA's addresses.</summary>
    public bool IsTunnelMode => Mode is XfrmMode.Tunnel or XfrmMode.Iptfs;

    public void SetReplay(ReplayState state)
    {
        Volatile.Write(ref _replay, new ReplayWindow(state, (ExtraFlags & SaExtraFlags.OseqMayWrap) != 0));
        LastNotifiedReplay = state;
    }

    private void SetExtra<T>(bool matters, T value, Action<SaExtras, T> set)
    {
        if (matters || _extras is not null)
        {
            set(_extras ??= new SaExtras(), value);
        }
    }

    // Larval SAs have hardly ever use for one.
    private ReplayWindow FirstReplay()
    {
        ReplayWindow made = new(ReplayState.Initial, mayWrap: false);
        return Interlocked.CompareExchange(ref _replay, made, null) ?? made;
    }

    /// <summary>Sets the crypto of <c>x->type->init_state</c>; the SA owns it.</summary>
    public void SetTransforms(EspTransform? esp, AuthTransform? ah)
    {
        Esp = esp;
        Ah = ah;
    }

    /// <summary><c>xfrm_state_check_expire</c>, the packet path's half: what this packet meets before it is processed.</summary>
    /// <param name="now">Wall-clock seconds.</param>
    public ExpiryVerdict CheckExpiry(ulong now)
    {
        if (Volatile.Read(ref _useTime) == 0)
        {
            Interlocked.CompareExchange(ref _useTime, (long)now, 0);
        }
        ulong bytes = (ulong)Volatile.Read(ref _bytes), packets = (ulong)Volatile.Read(ref _packets);
        if (bytes >= Lifetime.HardByteLimit || packets >= Lifetime.HardPacketLimit)
        {
            Interlocked.CompareExchange(ref _state, (int)SaState.Expired, (int)SaState.Valid);
            return ExpiryVerdict.Hard;
        }
        if ((bytes >= Lifetime.SoftByteLimit || packets >= Lifetime.SoftPacketLimit) && Interlocked.Exchange(ref _dying, 1) == 0)
        {
            return ExpiryVerdict.Soft;
        }
        return ExpiryVerdict.Alive;
    }

    /// <summary>Counts processed packets: <c>curlft</c> and <c>lastused</c>.</summary>
    public void Account(long bytes, long packets, ulong now)
    {
        Interlocked.Add(ref _bytes, bytes);
        Interlocked.Add(ref _packets, packets);
        Volatile.Write(ref _lastUsed, (long)now);
    }

    public void CountReplay(ReplayVerdict verdict)
    {
        if (verdict == ReplayVerdict.Replayed)
        {
            Interlocked.Increment(ref _statReplay);
        }
        else if (verdict == ReplayVerdict.BelowWindow)
        {
            Interlocked.Increment(ref _statReplayWindow);
        }
    }

    public void CountIntegrityFailure() => Interlocked.Increment(ref _statIntegrityFailed);

    /// <summary>Zeroes the keys. Called when the SA has left the database and no worker uses it any more.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }
        Esp?.Dispose();
        Ah?.Dispose();
        Aead?.Key.Dispose();
        Auth?.Key.Dispose();
        Crypt?.Key.Dispose();
    }
}
