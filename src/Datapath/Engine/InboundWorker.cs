using Xfrmd.Datapath.Capture;
using Xfrmd.Datapath.Direct;
using Xfrmd.Datapath.Ports;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// Takes protected packets from the network and gives the host what was in them: receives a batch, takes off the transforms, joins what
/// belongs together, and writes it to the TUN. Everything it touches per packet is its own.
/// </summary>
public sealed class InboundWorker : IDisposable
{
    private const int IptfsTick = 100;

    /// <summary>So many at once come where a ring is worth its memory.</summary>
    private const int ManyPackets = 8;
    private const int CopySize = 65536 + PacketSlot.Headroom + PacketSlot.Tailroom;
    private readonly XfrmNamespace _space;
    private readonly Inbound _inbound;
    private readonly Func<uint, ITunPort> _tunFor;
    private readonly Dictionary<uint, Coalescer> _coalescers = [];
    private readonly Coalescer _main;
    private readonly CaptureTap? _tap;
    private readonly DirectPaths? _direct;
    private DirectPair _lastPair;
    private bool _isMany;
    private byte[]? _copies;
    private int _copiesUsed;
    private int _datagrams;

    /// <param name="space">Policies, SAs, statistics.</param>
    /// <param name="host">What is local.</param>
    /// <param name="tunFor">The device of an if_id (0: the ordinary one), as this worker's own view.</param>
    /// <param name="worker">A number, to spread counters.</param>
    /// <param name="tap">Shown what comes, and what comes out of it.</param>
    /// <param name="direct">Told between whom raw ESP comes; null: nobody.</param>
    public InboundWorker(XfrmNamespace space, IInboundHost host, Func<uint, ITunPort> tunFor, int worker, CaptureTap? tap = null, DirectPaths? direct = null)
    {
        (_tap, _direct) = (tap, direct);
        (_space, _tunFor) = (space, tunFor);
        _inbound = new Inbound(space, host, worker);
        _main = new Coalescer(tunFor(0));
        _coalescers.Add(0, _main);
    }

    /// <summary>Handles one batch of a port. How many messages it had, or datagrams in them.</summary>
    public int RunOnce(IArrivalPort port)
    {
        int count = port.Receive();
        if (count == 0)
        {
            return 0;
        }
        ulong now = _space.WallSeconds;
        (_lastPair, _isMany, _datagrams) = (default, count >= ManyPackets, 0);
        for (int i = 0; i < count; i++)
        {
            if (!port.TryGet(i, out PacketSlot slot, out Arrival arrival, out int segmentSize))
            {
                continue;
            }
            if (segmentSize == 0)
            {
                Accept(ref slot, arrival, now);
            }
            else
            {
                Split(slot, arrival, segmentSize, now);
            }
        }
        Flush();
        return Math.Max(count, _datagrams);
    }

    /// <summary>Forgets SAs that are gone. To be called by the worker's own thread between batches.</summary>
    public void Sweep() => _inbound.Sweep();

    /// <summary>The device of an if_id goes: nothing is held for it any more. To be called by the worker's own thread between batches.</summary>
    public void Forget(uint ifId) => _coalescers.Remove(ifId);

    public void Dispose() => _inbound.Dispose();

    private void Split(in PacketSlot slot, in Arrival arrival, int segmentSize, ulong now)
    {
        // A tunnel's packets only shrink. Any other mode puts a header before them, where the datagram before still lies.
        bool inPlace = IsTunnel(slot, arrival);
        for (int at = 0; at < slot.Length; at += segmentSize)
        {
            _datagrams++;
            int length = Math.Min(segmentSize, slot.Length - at), offset = slot.Offset + at;
            PacketSlot part = inPlace ? new(slot.Buffer, offset, length, offset, offset + length) { Mark = slot.Mark } : Copy(slot.Span.Slice(at, length), slot.Mark);
            Accept(ref part, arrival, now);
        }
    }

    private bool IsTunnel(in PacketSlot slot, in Arrival arrival) =>
        EspView.TryParse(slot.Span, out EspView esp)
        && _space.Sad.Lookup(slot.Mark, arrival.Daddr, Be32.From(esp.Spi), arrival.Proto, arrival.Family) is { Mode: XfrmMode.Tunnel };

    private PacketSlot Copy(ReadOnlySpan<byte> datagram, uint mark)
    {
        int size = PacketSlot.Headroom + datagram.Length + PacketSlot.Tailroom;
        _copies ??= PinnedArray.Create(CopySize * 4);
        if (_copiesUsed + size > _copies.Length)
        {
            Flush();
        }
        PacketSlot copy = new(_copies, _copiesUsed + PacketSlot.Headroom, datagram.Length, _copiesUsed, _copiesUsed + size) { Mark = mark };
        datagram.CopyTo(copy.Span);
        _copiesUsed += size;
        return copy;
    }

    private void Accept(ref PacketSlot slot, in Arrival arrival, ulong now)
    {
        if (arrival.EncapType != 0 && !UdpEncapsulation.IsEsp(slot.Span, arrival.Family))
        {
            return;
        }
        bool isWatched = _tap is { IsOn: true };
        if (isWatched)
        {
            _tap!.Arrives(slot, arrival);
        }
        InboundResult result = _inbound.Process(ref slot, arrival, now);
        if (isWatched)
        {
            _tap!.Opened(_inbound, slot, result);
        }
        if (_isMany && _direct is not null && _inbound.Path.Length > 0 && _inbound.Dropped is null)
        {
            TellPair(arrival);
        }
        if (result.Deliver)
        {
            (result.IfId == 0 ? _main : CoalescerFor(result.IfId)).Add(_inbound.IsTransient(slot) ? Copy(slot.Span, slot.Mark) : slot);
        }
        else if (_inbound.HasIptfs)
        {
            TakeInner();
        }
    }

    /// <summary>Who sends authentic raw ESP may go on doing so past the raw socket.</summary>
    private void TellPair(in Arrival arrival)
    {
        DirectPair pair = new(arrival.Saddr, arrival.Daddr, arrival.Family);
        if (arrival.EncapType == 0 && arrival.Proto == IpProtocol.Esp && pair != _lastPair)
        {
            _lastPair = pair;
            _direct!.WantPair(pair);
        }
    }

    /// <summary>How long the thread may wait for packets; -1: for ever. An IP-TFS payload that is missing is given up in time.</summary>
    public int WaitMilliseconds => _inbound.HasIptfs ? IptfsTick : -1;

    /// <summary>Gives up IP-TFS payloads that have been missing for too long.</summary>
    public void Expire()
    {
        for (int index = 0; _inbound.ExpireIptfs(ref index);)
        {
            TakeInner();
        }
        if (_inbound.HasIptfs)
        {
            Flush();
        }
    }

    private void TakeInner()
    {
        while (_inbound.TryTake(out Span<byte> packet, out InboundResult result))
        {
            if (_tap is { IsOn: true })
            {
                _tap.Delivered(packet, _inbound.Path);
            }
            PacketSlot copy = Copy(packet, _inbound.IptfsMark);
            (result.IfId == 0 ? _main : CoalescerFor(result.IfId)).Add(copy);
        }
    }

    private Coalescer CoalescerFor(uint ifId)
    {
        if (!_coalescers.TryGetValue(ifId, out Coalescer? coalescer))
        {
            coalescer = new Coalescer(_tunFor(ifId));
            _coalescers.Add(ifId, coalescer);
        }
        return coalescer;
    }

    private void Flush()
    {
        foreach (Coalescer coalescer in _coalescers.Values)
        {
            coalescer.Flush();
        }
        _copiesUsed = 0;
    }
}
