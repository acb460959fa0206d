using System.Threading.Channels;

namespace Xfrmd.Kernel;

/// <summary>
/// All XFRM state of one network namespace: <c>struct netns_xfrm</c>. Control operations take <see cref="Gate"/>; the packet path reads
/// snapshots and posts what it meets (expiry, acquire, mapping), which a pool thread then handles under the gate.
/// </summary>
public sealed class XfrmNamespace : IDisposable
{
    private const int MaxPosted = 4096;
    private readonly Channel<PacketEvent> _posted = Channel.CreateBounded<PacketEvent>(
        new BoundedChannelOptions(MaxPosted) { SingleReader = false, FullMode = BoundedChannelFullMode.DropWrite });
    private static readonly Func<XfrmAddress, ushort, uint, XfrmAddress?> NoSource = static (_, _, _) => null;
    private static readonly Func<int, bool> AnyInterface = static index => index > 0;
    private static readonly Action<SecurityAssociation> NoKeepalive = static _ => { };
    private static readonly Func<bool> Discovers = static () => false;
    private static readonly Func<XfrmNamespace, int?> NoNumber = static _ => null;
    private static readonly Func<IReadOnlyCollection<ulong>, IReadOnlyCollection<ulong>> NoSocketClosed = static _ => [];
    private ulong _noPmtuRow;
    private bool _noPmtu;
    private int _scheduled;
    private int _generation;
    private volatile bool _disposed;

    /// <param name="inode">The number in <c>net:[N]</c>, or any unique number in a test.</param>
    /// <param name="time">The SA clock: every lifetime and time stamp comes from it.</param>
    public XfrmNamespace(ulong inode, TimeProvider time)
    {
        Inode = inode;
        Time = time;
        Timers = new NamespaceTimers(this);
        Keepalives = new NatKeepalives(this);
        Sad = new Sad(this);
        Spd = new Spd(this);
        Resolver = new PolicyResolver(this);
    }

    public ulong Inode { get; }

    /// <summary>It is disposed, and nobody will ask it again.</summary>
    public bool IsEnded => _disposed;

    public TimeProvider Time { get; }

    /// <summary><c>xfrm_cfg_mutex</c>: control operations of the namespace run one after the other under it. The packet path never takes it.</summary>
    public Lock Gate { get; } = new();

    public Sad Sad { get; }

    public Spd Spd { get; }

    public PolicyResolver Resolver { get; }

    public KeyManagers KeyManagers { get; } = new();

    public DatabaseObservers Observers { get; } = new();

    public XfrmStatistics Statistics { get; } = new();

    /// <summary>Which packets are lost, while somebody watches.</summary>
    public DropLog Drops { get; } = new();

    public XfrmSysctls Sysctls { get; } = new();

    /// <summary>What is to go wrong.</summary>
    public Faults Faults { get; } = new();

    /// <summary>
    /// The source that routing would choose towards an outer destination (<c>xfrm_get_saddr</c>), for templates that leave it open; null
    /// where there is no route. The datapath sets it.
    /// </summary>
    public Func<XfrmAddress, ushort, uint, XfrmAddress?> SourceAddressFor { get; set; } = NoSource;

    /// <summary>Whether the namespace has an interface of this number (<c>dev_get_by_index</c>).</summary>
    public Func<int, bool> HasInterface { get; set; } = AnyInterface;

    /// <summary>The number (nsid) by which this namespace knows another one (<c>peernet2id</c>); null where it has none. Called under any gate.</summary>
    public Func<XfrmNamespace, int?> NumberOf { get; set; } = NoNumber;

    /// <summary>net.ipv4.ip_no_pmtu_disc, which is the kernel's beneath.</summary>
    public Func<bool> NoPmtuDiscovery { get; set; } = Discovers;

    /// <summary>The same, asked once for the requests of one datagram.</summary>
    internal bool ReadsNoPmtuDiscovery()
    {
        if (Observers.CurrentRow is var row && (row == 0 || row != _noPmtuRow))
        {
            (_noPmtuRow, _noPmtu) = (row, NoPmtuDiscovery());
        }
        return _noPmtu;
    }

    /// <summary>Sends a NAT keepalive from an SA's source to its destination. The datapath sets it; called under the gate.</summary>
    public Action<SecurityAssociation> SendKeepalive { get; set; } = NoKeepalive;

    /// <summary>Which of these sockets, by inode, are closed: their policies went with them (<c>xfrm_sk_free_policy</c>).</summary>
    public Func<IReadOnlyCollection<ulong>, IReadOnlyCollection<ulong>> ClosedSockets { get; set; } = NoSocketClosed;

    /// <summary>Changes whenever a policy or SA comes, goes or changes: what a flow cache compares (<c>genid</c>).</summary>
    public int Generation => Volatile.Read(ref _generation);

    internal NamespaceTimers Timers { get; }

    internal NatKeepalives Keepalives { get; }

    /// <summary>Seconds of the wall clock, as Linux stamps SAs and policies (<c>ktime_get_real_seconds</c>).</summary>
    public ulong WallSeconds => (ulong)Time.GetUtcNow().ToUnixTimeSeconds();

    /// <summary>What has been decided by the databases must be decided anew.</summary>
    public void BumpGeneration() => Interlocked.Increment(ref _generation);

    /// <summary>Counts a lost packet and tells who watches. <paramref name="worker"/> only spreads the writes.</summary>
    public void Drop(XfrmCounter counter, in Flow flow, Be32 spi = default, int worker = 0)
    {
        Statistics.Increment(counter, worker);
        Drops.Record(counter, flow, spi);
    }

    /// <summary>The packet path met a soft or hard limit; said before the packet is counted.</summary>
    public void PostExpire(SecurityAssociation sa, bool hard)
    {
        if (!hard)
        {
            // The next packet looks for one that is not dying (xfrm_state_look_at).
            BumpGeneration();
        }
        Post(new PacketEvent { Kind = hard ? PacketEventKind.HardExpire : PacketEventKind.SoftExpire, Sa = sa, Counts = sa.Counts });
    }

    /// <summary>The packet path found a template without SA.</summary>
    public void PostAcquire(Policy policy, in Flow flow, uint? pcpu = null) => Post(new PacketEvent { Kind = PacketEventKind.Acquire, Policy = policy, Flow = flow, Pcpu = pcpu });

    /// <summary>An authentic ESP-in-UDP packet came from another address or port than the SA says.</summary>
    public void PostMapping(SecurityAssociation sa, in XfrmAddress address, Be16 port) =>
        Post(new PacketEvent { Kind = PacketEventKind.Mapping, Sa = sa, Address = address, Port = port });

    /// <summary>Sequence numbers moved while somebody listens for AEVENTs; said before the packet is counted. By the time it is told they may have moved on.</summary>
    public void PostReplay(SecurityAssociation sa) =>
        Post(new PacketEvent { Kind = PacketEventKind.Replay, Sa = sa, Replay = sa.Replay.Snapshot(), Counts = sa.Counts });

    /// <summary>Runs what the packet path posted and what is due. Tests call it themselves; otherwise it runs by itself.</summary>
    public void RunPending()
    {
        lock (Gate)
        {
            if (_disposed)
            {
                return;
            }
            while (_posted.Reader.TryRead(out PacketEvent posted))
            {
                Handle(posted);
            }
            Timers.Run();
        }
    }

    /// <summary>An SA's limit was reached: a soft one is told, a hard one deletes it. Under the gate.</summary>
    public void ExpireNow(SecurityAssociation sa, bool hard, uint portId = 0, SaCounts? counts = null)
    {
        if (!hard || Sad.Delete(sa))
        {
            KeyManagers.Notify(new SaEvent(SaEventKind.Expire, sa) { Hard = hard, PortId = portId, Counts = counts });
        }
    }

    /// <summary>The namespace has ended. A program that had a socket in it may hold this for as long as it runs, but not what served it.</summary>
    public void Dispose()
    {
        lock (Gate)
        {
            _disposed = true;
            Timers.Dispose();
            Faults.Clear();
            Observers.Clear();
            (SourceAddressFor, HasInterface, NumberOf, NoPmtuDiscovery, ClosedSockets, SendKeepalive) = (NoSource, AnyInterface, NoNumber, Discovers, NoSocketClosed, NoKeepalive);
        }
    }

    internal void OnTimer() => RunPending();

    private void Post(in PacketEvent posted)
    {
        _posted.Writer.TryWrite(posted);
        if (Interlocked.Exchange(ref _scheduled, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static space =>
            {
                Volatile.Write(ref space._scheduled, 0);
                space.RunPending();
            }, this, preferLocal: false);
        }
    }

    private void Handle(in PacketEvent posted)
    {
        switch (posted.Kind)
        {
            case PacketEventKind.SoftExpire when posted.Sa!.State == SaState.Valid:
                ExpireNow(posted.Sa, hard: false, counts: posted.Counts);
                break;
            case PacketEventKind.HardExpire:
                ExpireNow(posted.Sa!, hard: true, counts: posted.Counts);
                break;
            case PacketEventKind.Acquire when !posted.Policy!.IsDead:
                Resolver.Acquire(posted.Policy, posted.Flow, posted.Pcpu);
                break;
            case PacketEventKind.Mapping:
                Mappings.Tell(this, posted.Sa!, posted.Address, posted.Port);
                break;
            case PacketEventKind.Replay:
                ReplayEvents.OnUpdate(this, posted.Sa!, posted.Replay!, posted.Counts);
                break;
        }
    }

    private enum PacketEventKind : byte { SoftExpire, HardExpire, Acquire, Mapping, Replay }

    private readonly record struct PacketEvent
    {
        public PacketEventKind Kind { get; init; }
        public SecurityAssociation? Sa { get; init; }
        public Policy? Policy { get; init; }
        public Flow Flow { get; init; }
        public uint? Pcpu { get; init; }
        public XfrmAddress Address { get; init; }
        public Be16 Port { get; init; }
        public SaCounts Counts { get; init; }
        public ReplayState? Replay { get; init; }
    }
}
