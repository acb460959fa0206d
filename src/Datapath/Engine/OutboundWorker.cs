using System.Runtime.InteropServices;
using Xfrmd.Datapath.Capture;
using Xfrmd.Datapath.Ports;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// Takes what the host sends into a TUN and sends it protected: reads a batch, takes large packets apart, decides once per flow, transforms,
/// and sends the batch. Everything it touches per packet is its own.
/// </summary>
public sealed class OutboundWorker : IDisposable
{
    private const int MaxSlots = 128, MaxReads = 64, MaxPackets = 256, FlushAt = 82;
    private const int ReadSize = VnetHeader.Size + 65536, CacheLine = 64;
    private const int ArenaSize = 512 * 1024, SegmentArenaSize = 384 * 1024, FragmentArenaSize = 256 * 1024;
    private const ulong PathLifetime = 5;
    private const int BadFileState = 77;   // EBADFD: what tun_chr_read_iter says of a queue without a device
    private readonly XfrmNamespace _space;
    private readonly ITunPort _tun;
    private readonly IWirePort _wire;
    private readonly IPaths _paths;
    private readonly IpIdentifiers _identifiers;
    private readonly DeviceTraits _device;
    private readonly HostPort? _host;
    private readonly int _worker;
    private readonly CaptureTap? _tap;
    private readonly Outbound _outbound;
    private readonly FlowCache _flows = new();
    private readonly Dictionary<SecurityAssociation, OutboundSa> _links = new(ReferenceEqualityComparer.Instance);
    private readonly byte[] _arena = PinnedArray.Create(ArenaSize);
    private readonly byte[] _segments = PinnedArray.Create(SegmentArenaSize);
    private readonly byte[] _fragments = PinnedArray.Create(FragmentArenaSize);
    private readonly byte[] _icmp = PinnedArray.Create(IcmpErrors.MaxLength);
    private readonly List<(OutboundBundle Bundle, bool InUdp)> _queued = [];
    private readonly HeldPackets _held;
    private bool _releases;
    private readonly PacketSlot[] _slots = new PacketSlot[MaxSlots];
    private readonly OutboundVerdict[] _verdicts = new OutboundVerdict[MaxSlots];
    private int _count;
    private int _taken;
    private int _runStart;
    private OutboundFlow? _runFlow;
    private int _arenaUsed;
    private int _segmentsUsed;
    private int _fragmentsUsed;
    private ulong _now;

    /// <param name="space">Policies, SAs, statistics.</param>
    /// <param name="tun">This worker's own view of the device.</param>
    /// <param name="wire">Where protected packets go.</param>
    /// <param name="paths">What routing knows.</param>
    /// <param name="identifiers">IPv4 identifications, shared by all workers.</param>
    /// <param name="device">What is known of all packets of this device.</param>
    /// <param name="worker">A number, to spread counters.</param>
    /// <param name="tap">Shown what hosts send.</param>
    /// <param name="host">Tells senders beyond this host what fits; null: the device does.</param>
    public OutboundWorker(
        XfrmNamespace space, ITunPort tun, IWirePort wire, IPaths paths, IpIdentifiers identifiers, DeviceTraits device, int worker, CaptureTap? tap = null, HostPort? host = null)
    {
        (_tap, _host) = (tap, host);
        (_space, _tun, _wire, _paths, _identifiers, _device, _worker) = (space, tun, wire, paths, identifiers, device, worker);
        _outbound = new Outbound(space, identifiers, worker);
        _held = new HeldPackets(space.Time);
    }

    /// <summary>Packets that could not be read as such, or had no place to go.</summary>
    public long Malformed { get; private set; }

    /// <summary>Handles what waits in the device, up to a limit. How many reads brought a packet.</summary>
    public int RunOnce()
    {
        _now = _space.WallSeconds;
        if (!_held.IsEmpty)
        {
            ReleaseHeld();
        }
        int reads = 0;
        _taken = 0;
        HasMore = false;
        while (reads < MaxReads && _taken < MaxPackets)
        {
            if (_arenaUsed + PacketSlot.Headroom + ReadSize + PacketSlot.Tailroom > ArenaSize)
            {
                Flush();
            }
            int start = _arenaUsed + PacketSlot.Headroom - VnetHeader.Size;
            int length = _tun.Read(_arena, start, ReadSize);
            HasMore = length > 0;
            if (!HasMore)
            {
                IsDeviceGone = length == -BadFileState;
                break;
            }
            reads++;
            Accept(start, length);
        }
        Flush();
        if (_queued.Count > 0)
        {
            SendQueued();
        }
        return reads;
    }

    /// <summary>The last call of <see cref="RunOnce"/> stopped at its limit.</summary>
    public bool HasMore { get; private set; }

    /// <summary>The device has been deleted: nothing comes any more.</summary>
    public bool IsDeviceGone { get; private set; }

    /// <summary>How long the thread may wait for packets; -1: for ever. IP-TFS queues and packets without SA may be due before.</summary>
    public int WaitMilliseconds
    {
        get
        {
            double least = _held.IsEmpty ? double.PositiveInfinity : _held.Delay().TotalMilliseconds;
            foreach ((OutboundBundle bundle, _) in _queued)
            {
                least = Math.Min(least, _outbound.QueueDelay(bundle).TotalMilliseconds);
            }
            return double.IsPositiveInfinity(least) ? -1 : (int)Math.Ceiling(least);
        }
    }

    /// <summary>Forgets SAs that are gone. To be called by the worker's own thread between batches.</summary>
    public void Sweep()
    {
        foreach ((SecurityAssociation sa, OutboundSa link) in _links)
        {
            if (sa.State == SaState.Dead)
            {
                _links.Remove(sa);
                link.Dispose();
            }
        }
    }

    public void Dispose()
    {
        foreach (OutboundSa link in _links.Values)
        {
            link.Dispose();
        }
        _links.Clear();
        _flows.Clear();
    }

    /// <summary>That the packets of the device have, as far as it is known.</summary>
    private uint Mark => _device.Sockets is { } sockets ? sockets.Mark : _device.Mark;

    private void Accept(int start, int length)
    {
        if (length <= VnetHeader.Size)
        {
            Malformed++;
            return;
        }
        VnetHeader vnet = MemoryMarshal.Read<VnetHeader>(_arena.AsSpan(start));
        int offset = start + VnetHeader.Size;
        length -= VnetHeader.Size;
        Span<byte> packet = _arena.AsSpan(offset, length);
        if (FindFlow(packet) is not { } flow)
        {
            Malformed++;
            return;
        }
        if (vnet.Segments != VnetHeader.GsoNone)
        {
            AcceptLarge(packet, vnet, flow);
            return;
        }
        if ((vnet.Flags & VnetHeader.NeedsChecksum) != 0 && !TryComplete(packet, vnet))
        {
            Malformed++;
            return;
        }
        int tail = PacketSlot.Tailroom + (flow.Bundle?.TfcRoom ?? 0);
        int limit = Math.Min((offset + length + tail + CacheLine - 1) & -CacheLine, ArenaSize);
        Queue(flow, new PacketSlot(_arena, offset, length, _arenaUsed, limit) { Mark = Mark });
        _arenaUsed = limit;
    }

    private void AcceptLarge(Span<byte> packet, in VnetHeader vnet, OutboundFlow flow)
    {
        if (!SegmentReader.TryOpen(packet, vnet, out SegmentReader segments))
        {
            Malformed++;
            return;
        }
        int tail = PacketSlot.Tailroom + (flow.Bundle?.TfcRoom ?? 0);
        int stride = (PacketSlot.Headroom + segments.MaxLength + tail + CacheLine - 1) & -CacheLine;
        while (!segments.IsAtEnd)
        {
            if (_segmentsUsed + stride > SegmentArenaSize)
            {
                FlushSlots();
            }
            int floor = _segmentsUsed;
            int length = segments.Next(_segments.AsSpan(floor + PacketSlot.Headroom, segments.MaxLength));
            _segmentsUsed += stride;
            Queue(flow, new PacketSlot(_segments, floor + PacketSlot.Headroom, length, floor, floor + stride) { Mark = Mark });
        }
        if (_count >= FlushAt)
        {
            Flush();
        }
    }

    /// <summary>The checksum that the host left to the device (CHECKSUM_PARTIAL): the field holds the pseudo header's sum.</summary>
    private static bool TryComplete(Span<byte> packet, in VnetHeader vnet)
    {
        int start = vnet.ChecksumStart, at = start + vnet.ChecksumOffset;
        if (at + sizeof(ushort) > packet.Length)
        {
            return false;
        }
        ushort checksum = InternetChecksum.Finish(InternetChecksum.Sum(packet[start..]));
        InternetChecksum.Write(packet[at..], checksum == 0 && vnet.ChecksumOffset == UdpView.ChecksumAt ? ushort.MaxValue : checksum);
        return true;
    }

    private void Queue(OutboundFlow flow, in PacketSlot slot)
    {
        if (_count == MaxSlots)
        {
            // Slots of the reading arena stay where they are: only the list starts again.
            FlushSlots();
        }
        if (flow != _runFlow)
        {
            EndRun();
            _runFlow = flow;
        }
        _slots[_count++] = slot;
        _taken++;
    }

    private OutboundFlow? FindFlow(Span<byte> packet)
    {
        if (!FlowDecoder.TryDecode(packet, Mark, _device.OutputInterface, _device.IfId, out Flow key))
        {
            return null;
        }
        OutboundFlow? flow = _runFlow is { } last && last.Key == key ? last : _flows.Find(key);
        if (flow is not null && flow.Generation == _space.Generation && _now < flow.ValidUntil && flow.TooBigCount == _wire.TooBigCount && flow.PathEpoch == _paths.Epoch)
        {
            return flow;
        }
        // The packets of the run were decided by what stood in the entry.
        EndRun();
        flow ??= _flows.Replace(key);
        flow.Quoted = FlowDecoder.TryDecodeEmbedded(packet, key, out Flow quoted) ? quoted : null;
        return Decide(flow);
    }

    private OutboundFlow Decide(OutboundFlow flow)
    {
        Flow routed = Routed(flow);
        OutboundDecision decision = Resolve(routed);
        if (flow.Quoted is { } quoted)
        {
            decision = DecideByQuoted(decision, routed, quoted with { Oif = routed.Oif });
        }
        flow.Decision = decision;
        flow.Generation = decision.Generation;
        flow.TooBigCount = _wire.TooBigCount;
        flow.PathEpoch = _paths.Epoch;
        flow.MarkedAt = _now;
        flow.Bundle = null;
        // Without an SA it is asked anew for each packet, so that an ACQUIRE is repeated once the larval SA has gone.
        flow.ValidUntil = decision.Action == OutboundAction.Pending || decision.IsFallback || flow.Quoted is not null ? 0 : _now + PathLifetime;
        if (decision.Action == OutboundAction.Transform)
        {
            OutboundSa[] chain = new OutboundSa[decision.Sas.Length];
            uint mark = Mark;
            for (int i = 0; i < chain.Length; i++)
            {
                chain[i] = Link(decision.Sas[i]);
                mark = decision.Sas[i].SetMark.Apply(mark);
            }
            SecurityAssociation outermost = decision.Sas[^1];
            flow.InUdp = outermost.Encap is not null;
            flow.Bundle = new OutboundBundle(chain, _paths.MtuTowards(OuterDestination(flow.Key, decision.Sas), outermost.Family, mark));
        }
        else if (decision.Action == OutboundAction.Bypass)
        {
            flow.PlainMtu = _paths.MtuTowards(flow.Key.Daddr, flow.Key.Family, Mark);
        }
        return flow;
    }

    // One thread carries all that a device takes: as on a machine with one CPU.
    private OutboundDecision Resolve(in Flow flow, bool isQuoted = false) => _space.Resolver.Resolve(
        flow, cpu: 0, steeredBy: _device is { IfId: 0, Sockets: null } ? new XfrmMark(_device.Mark, _device.MarkMask) : null, ofSocket: _device.Sockets?.Outbound, isQuoted: isQuoted);

    /// <summary>
    /// An ICMP error that no SA is for may go through that of the packet that it is about: of this host's own <c>icmp_route_lookup</c>, of those on
    /// their way <c>xfrm_out_fwd_icmp</c>. What finds no SA there either goes as it would have gone.
    /// </summary>
    private OutboundDecision DecideByQuoted(OutboundDecision decision, in Flow error, in Flow quoted)
    {
        bool isOwn = _paths.IsHere(error.Saddr, error.Family);
        bool mayAsk = isOwn
            ? decision.Action == OutboundAction.Bypass || decision.Errno == Errno.EPERM
            : decision.Action == OutboundAction.Bypass && FlowDecoder.IsPathError(error);
        if (!mayAsk)
        {
            return decision;
        }
        OutboundDecision other = Resolve(quoted, isQuoted: true);
        if (other.Action == OutboundAction.Transform || (isOwn && other.Errno == Errno.EPERM))
        {
            return other;
        }
        if (other.Counter is { } counter)
        {
            _space.Statistics.Add(counter, 1, _worker);
        }
        return decision;
    }

    /// <summary>
    /// The flow with <c>flowi_oif</c> as XFRM finds it behind routing: the route's interface (<c>decode_session4</c>, <c>decode_session6</c>,
    /// <c>ip_route_output_key_hash_rcu</c>), but none for IPv6 packets of this host (<c>ip6_route_output</c> leaves it as the socket has it) and for
    /// its ICMP errors (<c>icmp_route_lookup</c>).
    /// </summary>
    private Flow Routed(OutboundFlow flow)
    {
        if (flow.Key.Oif != 0 || _device.IfId != 0)
        {
            return flow.Key;
        }
        if (flow.RoutedAt != _now)
        {
            flow.RoutedAt = _now;
            bool unknown = (flow.Key.Family == AddressFamily.Inet6 || (flow.Key.Proto == NextHeader.Icmp && IcmpView.IsErrorType(flow.Key.Sport))) && _paths.IsHere(flow.Key.Saddr, flow.Key.Family);
            flow.OutputInterface = unknown ? 0 : _paths.OutputInterface(flow.Key.Daddr, flow.Key.Family, Mark);
        }
        return flow.Key with { Oif = flow.OutputInterface };
    }

    /// <summary>Transport mode keeps the packet's own destination; any other has the SA's.</summary>
    private static XfrmAddress OuterDestination(in Flow flow, SecurityAssociation[] sas)
    {
        for (int i = sas.Length - 1; i >= 0; i--)
        {
            if (sas[i].Mode != XfrmMode.Transport)
            {
                return sas[i].Id.Daddr;
            }
        }
        return flow.Daddr;
    }

    private OutboundSa Link(SecurityAssociation sa)
    {
        if (!_links.TryGetValue(sa, out OutboundSa? link))
        {
            link = new OutboundSa(sa);
            _links.Add(sa, link);
        }
        return link;
    }

    private void EndRun()
    {
        int start = _runStart, count = _count - _runStart;
        _runStart = _count;
        if (_runFlow is not { } flow || count == 0)
        {
            return;
        }
        if (flow.Generation != _space.Generation && !flow.Decision.IsFallback)
        {
            // The SA that stood for these packets when they were read may be gone, and another in its place (xfrm_bundle_ok, at the last moment).
            Decide(flow);
        }
        Carry(flow, start, count, mayDecideAnew: true);
    }

    private void Carry(OutboundFlow flow, int start, int count, bool mayDecideAnew)
    {
        OutboundDecision decision = flow.Decision;
        if (flow.MarkedAt != _now)
        {
            flow.MarkedAt = _now;
            decision.Policy?.MarkUsed(_now);
            decision.MainPolicy?.MarkUsed(_now);
        }
        if (_tap is { IsOn: true })
        {
            _tap.Leaves(_slots.AsSpan(start, count), decision);
        }
        switch (decision.Action)
        {
            case OutboundAction.Transform:
                int done = Transform(_slots.AsSpan(start, count), flow, mayDecideAnew);
                if (done < count)
                {
                    Decide(flow);
                    Carry(flow, start + done, count - done, mayDecideAnew: done > 0);
                }
                break;
            case OutboundAction.Bypass:
                foreach (ref PacketSlot slot in _slots.AsSpan(start, count))
                {
                    SendPlain(slot, flow);
                }
                break;
            case OutboundAction.Pending when _space.Sysctls.LarvalDrop == 0 && !_releases && !decision.Policy!.IsSocketPolicy:
                foreach (ref PacketSlot slot in _slots.AsSpan(start, count))
                {
                    if (!_held.TryHold(decision.Policy, slot.Span))
                    {
                        _space.Drops.Record(counter: null, flow.Key);
                    }
                }
                break;
            default:
                if (decision.Counter is { } counter)
                {
                    _space.Statistics.Add(counter, count, _worker);
                }
                if (decision.Cause is { } cause)
                {
                    _space.Statistics.Add(cause, count, _worker);
                }
                _space.Drops.Record(decision.Counter, flow.Key, packets: count);
                break;
        }
    }

    /// <summary>How many of the packets were handled: where an SA has gone meanwhile, or expires by one of them, nothing has happened to the others.</summary>
    private int Transform(Span<PacketSlot> slots, OutboundFlow flow, bool mayDecideAnew)
    {
        OutboundBundle bundle = flow.Bundle!;
        Span<OutboundVerdict> verdicts = _verdicts.AsSpan(0, slots.Length);
        int done = _outbound.Transform(slots, bundle, _now, verdicts, mayDecideAnew);
        if (done == 0)
        {
            return 0;
        }
        bool answered = false;
        if (bundle.IsAggregating)
        {
            Enqueue(bundle, flow.InUdp);
        }
        for (int i = 0; i < done; i++)
        {
            switch (verdicts[i])
            {
                case OutboundVerdict.TooBig:
                    if (!TrySendInPieces(slots[i], flow) && !answered)
                    {
                        answered = true;
                        AnswerTooBig(slots[i], flow);
                    }
                    break;
                default:
                    SendTransformed(slots[i], verdicts[i], flow);
                    break;
                case OutboundVerdict.Dropped when _outbound.Dropped is { } counter:
                    _space.Drops.Record(counter, flow.Key, flow.Decision.Sas[0].Id.Spi);
                    break;
            }
        }
        return done;
    }

    private void SendTransformed(in PacketSlot slot, OutboundVerdict verdict, OutboundFlow flow)
    {
        if (verdict == OutboundVerdict.Send)
        {
            _wire.Add(slot, flow.InUdp);
        }
        else if (verdict == OutboundVerdict.Fragment)
        {
            SendFragments(slot, flow.Bundle!.PathMtu);
        }
    }

    /// <summary>
    /// An IPv6 datagram of this host's own sender that may be cut, for it is larger than the path or has been cut already. In Linux the sender
    /// knows the MTU of the bundle, and <c>__xfrm6_output</c> cuts what is larger. False: it must be told.
    /// </summary>
    private bool TrySendInPieces(in PacketSlot slot, OutboundFlow flow)
    {
        OutboundBundle bundle = flow.Bundle!;
        if (!MayCutIpv6(flow) || !Ipv6Extensions.TryFindUpper(slot.Span, out _, out _, out _, out int fragment))
        {
            return false;
        }
        if (fragment == 0 && slot.Length <= bundle.PathMtu)
        {
            return false;
        }
        if (fragment != 0 || bundle.Chain[0].Sa.Mode is XfrmMode.Transport or XfrmMode.Beet)
        {
            // A piece that is too large, and what no tunnel takes first: the outer packet is cut, DF or not (skb->ignore_df).
            PacketSlot piece = slot;
            SendTransformed(piece, _outbound.TransformWhole(ref piece, bundle, _now, ignoresDf: true), flow);
            return true;
        }
        OutboundFragments fragments = new(slot.Span, bundle.InnerMtu6, _identifiers);
        int stride = (PacketSlot.Headroom + bundle.InnerMtu6 + PacketSlot.Tailroom + bundle.TfcRoom + CacheLine - 1) & -CacheLine;
        for (; ; )
        {
            if (_fragmentsUsed + stride > FragmentArenaSize)
            {
                _wire.Flush();
                _fragmentsUsed = 0;
            }
            int floor = _fragmentsUsed, offset = floor + PacketSlot.Headroom;
            if (!fragments.TryNext(_fragments.AsSpan(offset, bundle.InnerMtu6), out int length))
            {
                return true;
            }
            _fragmentsUsed += stride;
            PacketSlot piece = new(_fragments, offset, length, floor, floor + stride) { Mark = slot.Mark };
            OutboundVerdict verdict = _outbound.TransformWhole(ref piece, bundle, _now);
            if (verdict == OutboundVerdict.Dropped)
            {
                return true;   // ip6_fragment ends with the first that fails
            }
            SendTransformed(piece, verdict, flow);
        }
    }

    /// <summary>Only the sender cuts IPv6, and TCP is told instead.</summary>
    private bool MayCutIpv6(OutboundFlow flow) =>
        flow.Key.Family == AddressFamily.Inet6 && flow.Key.Proto != NextHeader.Tcp && _paths.IsHere(flow.Key.Saddr, flow.Key.Family);

    /// <summary>A packet that policy lets go in clear: as large as the path takes, cut or told as the kernel beneath would have done without us.</summary>
    private void SendPlain(in PacketSlot slot, OutboundFlow flow)
    {
        if (slot.Length <= flow.PlainMtu)
        {
            _wire.Add(slot, inUdp: false);
        }
        else if (Ipv4View.TryParse(slot.Span, out Ipv4View ip) ? !ip.DontFragment : MayCutIpv6(flow))
        {
            SendFragments(slot, flow.PlainMtu);
        }
        else
        {
            AnswerTooBig(slot, flow, flow.PlainMtu);
        }
    }

    /// <summary><c>xfrm_policy_queue_process</c>: what waits for an SA and is due is looked up anew, the first of each policy's packets for all of them.</summary>
    private void ReleaseHeld()
    {
        while (_held.NextDue() is { } due)
        {
            if (FindFlow(due.First) is { Decision.Action: OutboundAction.Pending })
            {
                _held.Postpone(due.Policy);
                continue;
            }
            // What finds no SA now is lost; so is what no policy covers any more (xfrm_policy_kill).
            _releases = true;
            foreach (byte[] packet in _held.Release(due.Policy))
            {
                if (FindFlow(packet) is { Decision.Action: OutboundAction.Transform or OutboundAction.Pending } flow)
                {
                    Resend(packet, flow);
                }
            }
            Flush();
            _releases = false;
        }
    }

    private void Resend(byte[] packet, OutboundFlow flow)
    {
        int size = PacketSlot.Headroom + packet.Length + PacketSlot.Tailroom + (flow.Bundle?.TfcRoom ?? 0);
        int limit = (_arenaUsed + size + CacheLine - 1) & -CacheLine;
        if (limit > ArenaSize)
        {
            Flush();
            limit = (size + CacheLine - 1) & -CacheLine;
        }
        packet.CopyTo(_arena, _arenaUsed + PacketSlot.Headroom);
        Queue(flow, new PacketSlot(_arena, _arenaUsed + PacketSlot.Headroom, packet.Length, _arenaUsed, limit) { Mark = Mark });
        _arenaUsed = limit;
    }

    // On its own: the closure would be made with every call of the method that it stands in.
    private void Enqueue(OutboundBundle bundle, bool inUdp)
    {
        if (!_queued.Exists(queued => queued.Bundle == bundle))
        {
            _queued.Add((bundle, inUdp));
        }
    }

    /// <summary>Sends what IP-TFS queues hold, as far as it is due.</summary>
    private void SendQueued()
    {
        for (int i = _queued.Count - 1; i >= 0; i--)
        {
            (OutboundBundle bundle, bool inUdp) = _queued[i];
            int stride = (PacketSlot.Headroom + bundle.PathMtu + PacketSlot.Tailroom + CacheLine - 1) & -CacheLine;
            for (; ; )
            {
                if (_fragmentsUsed + stride > FragmentArenaSize)
                {
                    _wire.Flush();
                    _fragmentsUsed = 0;
                }
                PacketSlot slot = new(_fragments, _fragmentsUsed + PacketSlot.Headroom, 0, _fragmentsUsed, _fragmentsUsed + stride) { Mark = Mark };
                if (!_outbound.TryTake(bundle, ref slot, _now, out OutboundVerdict verdict))
                {
                    break;
                }
                if (verdict == OutboundVerdict.Send)
                {
                    _fragmentsUsed += stride;
                    _wire.Add(slot, inUdp);
                }
            }
            if (_outbound.QueueDelay(bundle) == TimeSpan.Zero)
            {
                _queued.RemoveAt(i);
            }
        }
        _wire.Flush();
        _fragmentsUsed = 0;
    }

    private void SendFragments(in PacketSlot slot, int mtu)
    {
        OutboundFragments fragments = new(slot.Span, mtu, _identifiers);
        int stride = (mtu + CacheLine - 1) & -CacheLine;
        for (; ; )
        {
            if (_fragmentsUsed + stride > FragmentArenaSize)
            {
                _wire.Flush();
                _fragmentsUsed = 0;
            }
            if (!fragments.TryNext(_fragments.AsSpan(_fragmentsUsed, stride), out int length))
            {
                return;
            }
            _wire.Add(new PacketSlot(_fragments, _fragmentsUsed, length, _fragmentsUsed, _fragmentsUsed + stride) { Mark = slot.Mark }, inUdp: false);
            _fragmentsUsed += stride;
        }
    }

    private void AnswerTooBig(in PacketSlot slot, OutboundFlow flow)
    {
        OutboundBundle bundle = flow.Bundle!;
        // __xfrm6_output tells a sender beyond this host what the tunnel takes, be it less than IPv6 has to (1280); this host's own would not believe it.
        bool isForwarded = bundle.Chain[0].Sa.Mode == XfrmMode.Tunnel && !_paths.IsHere(flow.Key.Saddr, flow.Key.Family);
        int mtu = flow.Key.Family == AddressFamily.Inet || isForwarded ? bundle.InnerMtu : bundle.InnerMtu6;
        if (AnswerTooBig(slot, flow, mtu) && OuterDestination(flow.Key, flow.Decision.Sas) == flow.Key.Daddr)
        {
            _paths.SenderTold(flow.Key.Daddr, flow.Key.Family, mtu, bundle.PathMtu);
        }
    }

    /// <summary>
    /// Tells the sender what fits: one beyond this host in this host's name, one on it by the device, in the name of the packet's destination,
    /// as an address of this host would be no valid source for a packet that comes in. False: ICMP does not answer such a packet.
    /// </summary>
    private bool AnswerTooBig(in PacketSlot slot, OutboundFlow flow, int mtu)
    {
        Span<byte> packet = slot.Span;
        ushort family = flow.Key.Family;
        bool v4 = family == AddressFamily.Inet, isBeyond = !_paths.IsHere(flow.Key.Saddr, family);
        if (v4 && isBeyond)
        {
            RaiseTtl(packet);
        }
        XfrmAddress? own = isBeyond && _host is not null ? _paths.SourceTowards(flow.Key.Saddr, family, 0) : null;
        XfrmAddress saddr = own ?? flow.Key.Daddr;
        int length = IcmpErrors.TooBig(packet, mtu, saddr.Bytes[..(v4 ? 4 : 16)], _icmp);
        if (length > 0 && own is not null)
        {
            _host!.Send(_icmp, length, flow.Key.Saddr, family);
        }
        else if (length > 0)
        {
            PacketPart part = new(_icmp, 0, length);
            _tun.Write(default, new ReadOnlySpan<PacketPart>(in part));
        }
        return length > 0;
    }

    /// <summary>Over IPv4 Linux answers before it counts its own hop (<c>ip_forward</c>), and quotes the packet as it came.</summary>
    private static void RaiseTtl(Span<byte> packet)
    {
        if (Ipv4View.TryParse(packet, out Ipv4View ip))
        {
            packet[Ipv4View.TtlAt]++;
            Ipv4View.Seal(packet[..ip.HeaderLength]);
        }
    }

    private void FlushSlots()
    {
        EndRun();
        _wire.Flush();
        _count = _runStart = 0;
        _segmentsUsed = _fragmentsUsed = 0;
    }

    private void Flush()
    {
        FlushSlots();
        _arenaUsed = 0;
    }
}
