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
public sealed partial class OutboundWorker : IDisposable
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
