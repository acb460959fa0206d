using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Capture;
using Xfrmd.Datapath.Direct;
using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Ports;

/// <summary>
/// Sends packets in batches: ESP in UDP through the socket that shares the IKE daemon's port, many datagrams in one message (UDP_SEGMENT);
/// everything else whole, directly to the next station where that makes no difference to anybody (<see cref="DirectPaths"/>), else through
/// raw sockets.
/// </summary>
public sealed class WirePort : IWirePort
{
    private const int MaxMessages = 128, MaxSegments = 64, MaxDatagram = 65000;
    private const int EMSGSIZE = 90, EINVAL = 22, ENOBUFS = 105;
    private const int UdpDport = 2, ManyPackets = 32;
    private readonly SafeFileHandle _rawV4;
    private readonly SafeFileHandle? _rawV6;
    private readonly UdpEncapSockets _udpSockets;
    private readonly SteeringMarks _marks;
    private readonly CaptureTap? _tap;
    private readonly DirectSender? _direct;
    private DirectRoute? _lastRoute;
    private bool _framesAreFull;
    private readonly PacketSlot[] _directPackets = new PacketSlot[MaxMessages];
    private readonly SendBatch _batchDirect = new(MaxMessages, MaxMessages);
    private readonly SendBatch _batchV4 = new(MaxMessages, MaxMessages);
    private readonly SendBatch _batchV6 = new(MaxMessages, MaxMessages);
    private readonly SendBatch _batchUdp = new(MaxMessages, MaxMessages * 4);
    private UdpEncapSockets.Entry? _udp;
    private UdpRun _run;

    /// <param name="rawV4">Sends whole IPv4 packets.</param>
    /// <param name="rawV6">Sends whole IPv6 packets; null where the host has no IPv6.</param>
    /// <param name="udpSockets">For ESP in UDP.</param>
    /// <param name="marks">The bits of the sockets' own mark; a packet's other bits go with it.</param>
    /// <param name="tap">Shown all that is sent.</param>
    /// <param name="direct">Sends directly; null: never.</param>
    public WirePort(
        SafeFileHandle rawV4, SafeFileHandle? rawV6, UdpEncapSockets udpSockets, SteeringMarks marks, CaptureTap? tap = null, DirectSender? direct = null) =>
        (_rawV4, _rawV6, _udpSockets, _marks, _tap, _direct) = (rawV4, rawV6, udpSockets, marks, tap, direct);

    public int TooBigCount { get; private set; }

    /// <summary>Packets that the network refused.</summary>
    public long Refused { get; private set; }

    public void Add(in PacketSlot packet, bool inUdp)
    {
        if (_tap is { IsOn: true })
        {
            _tap.Sent(packet);
        }
        ReadOnlySpan<byte> bytes = packet.Span;
        bool v4 = bytes[0] >> 4 == 4;
        int addressAt = v4 ? 12 : 8, addressLength = v4 ? 4 : 16;
        ReadOnlySpan<byte> saddr = bytes.Slice(addressAt, addressLength), daddr = bytes.Slice(addressAt + addressLength, addressLength);
        if (inUdp)
        {
            int header = v4 ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength;
            ushort sport = BinaryPrimitives.ReadUInt16BigEndian(bytes[header..]);
            if (_udpSockets.Find(saddr, sport) is { } socket)
            {
                AddUdp(socket, packet, bytes, header, saddr, daddr);
                return;
            }
        }
        // A mark of its own is routing's and netfilter's to see.
        if (_direct is not null && (packet.Mark & ~_marks.Owned) == 0 && bytes[v4 ? Ipv4View.ProtocolAt : Ipv6View.NextHeaderAt] == IpProtocol.Esp
            && _direct.View.Find(daddr) is { } route
            && packet.Length <= route.Mtu && !(v4 && LacksIdentification(bytes)))
        {
            AddDirect(packet, route);
            return;
        }
        AddRaw(packet, v4, daddr);
    }

    private void AddRaw(in PacketSlot packet, bool v4, ReadOnlySpan<byte> daddr)
    {
        SendBatch batch = v4 ? _batchV4 : _batchV6;
        if (!batch.HasRoom)
        {
            FlushRaw(v4);
        }
        batch.Begin(daddr, 0);
        SetMark(batch, packet.Mark);
        batch.Append(packet.Buffer, packet.Offset, packet.Length);
    }

    /// <summary>What netfilter and routing see on the outer packet: its own mark, beside our bit.</summary>
    private void SetMark(SendBatch batch, uint mark)
    {
        mark &= ~_marks.Owned;
        if (mark != 0)
        {
            batch.SetMark(mark | _marks.Bypass);
        }
    }

    /// <summary>What may be fragmented and has the number 0 gets one from the raw socket (<c>raw_send_hdrinc</c>).</summary>
    private static bool LacksIdentification(ReadOnlySpan<byte> header) => (BinaryPrimitives.ReadUInt32BigEndian(header[4..]) & 0xFFFF4000) == 0;

    private void AddDirect(in PacketSlot packet, DirectRoute route)
    {
        if (!_framesAreFull && _direct!.Frames(route) is { } frames)
        {
            if (frames.TryAdd(packet.Span, route.FrameHeader))
            {
                return;
            }
            _framesAreFull = true;   // to the end of the batch: those behind this packet must not overtake it
        }
        if (!_batchDirect.HasRoom)
        {
            SendDirect();
        }
        _lastRoute = route;
        _directPackets[_batchDirect.Count] = packet;
        _batchDirect.Begin(route.LinkAddress);
        _batchDirect.Append(packet.Buffer, packet.Offset, packet.Length);
    }

    private void SendDirect()
    {
        _direct!.SendFrames();   // to one destination they come before what the batch has
        if (_batchDirect.Count >= ManyPackets)
        {
            _direct.WantFrames(_lastRoute!);
        }
        bool failed = false;
        for (int sent = 0; sent < _batchDirect.Count;)
        {
            int result = _batchDirect.Send(_direct!.Socket, sent);
            if (result > 0)
            {
                sent += result;
                continue;
            }
            if (result == -ENOBUFS)
            {
                Refused++;   // the queueing discipline dropped it, as it would have from a raw socket
            }
            else
            {
                // The link is not what it was.
                failed = true;
                ReadOnlySpan<byte> bytes = _directPackets[sent].Span;
                bool v4 = bytes[0] >> 4 == 4;
                AddRaw(_directPackets[sent], v4, v4 ? bytes.Slice(16, 4) : bytes.Slice(24, 16));
            }
            sent++;
        }
        _batchDirect.Clear();
        if (failed)
        {
            _direct!.View.Distrust();
        }
    }

    public void Flush()
    {
        if (_direct is not null)
        {
            SendDirect();
            _framesAreFull = false;
            _direct.EndBatch();
        }
        FlushRaw(v4: true);
        FlushRaw(v4: false);
        FlushUdp();
    }

    private void AddUdp(UdpEncapSockets.Entry socket, in PacketSlot packet, ReadOnlySpan<byte> bytes, int header, ReadOnlySpan<byte> saddr, ReadOnlySpan<byte> daddr)
    {
        bool v4 = saddr.Length == 4;
        UdpRun next = new()
        {
            Dport = BinaryPrimitives.ReadUInt16BigEndian(bytes[(header + UdpDport)..]),
            TrafficClass = v4 ? bytes[1] : (byte)(BinaryPrimitives.ReadUInt16BigEndian(bytes) >> 4),
            HopLimit = bytes[v4 ? Ipv4View.TtlAt : Ipv6View.HopLimitAt],
            FlowLabel = v4 ? 0 : BinaryPrimitives.ReadUInt32BigEndian(bytes) & Ipv6View.FlowLabelMask,
            Mark = packet.Mark,
            DontFragment = !v4 || (bytes[6] & 0x40) != 0,
            SegmentSize = packet.Length - header - UdpView.HeaderLength,
            Saddr = Read(saddr),
            Daddr = Read(daddr),
        };
        int offset = packet.Offset + header + UdpView.HeaderLength;
        if (_udp == socket && _run.Takes(next) && _batchUdp.HasRoom)
        {
            _batchUdp.Append(packet.Buffer, offset, next.SegmentSize);
            _run.Grow(next.SegmentSize);
            return;
        }
        if (_udp != socket || !_batchUdp.HasRoom || socket.DontFragment != (next.DontFragment ? 1 : 0))
        {
            FlushUdp();
            _udp = socket;
            SetDontFragment(socket, v4, next.DontFragment);
        }
        else
        {
            CloseRun();
        }
        _batchUdp.Begin(daddr, next.Dport);
        _batchUdp.SetSource(saddr);
        if (next.TrafficClass != 0)
        {
            _batchUdp.SetTrafficClass(next.TrafficClass, !v4);
        }
        if (next.HopLimit != PacketSockets.DefaultHopLimit)
        {
            _batchUdp.SetHopLimit(next.HopLimit, !v4);
        }
        if (next.FlowLabel != 0)
        {
            _batchUdp.SetFlowLabel(next.FlowLabel);
        }
        SetMark(_batchUdp, next.Mark);
        _batchUdp.Append(packet.Buffer, offset, next.SegmentSize);
        next.Grow(next.SegmentSize);
        _run = next;
    }

    private static UInt128 Read(ReadOnlySpan<byte> address) =>
        address.Length == 4 ? BinaryPrimitives.ReadUInt32LittleEndian(address) : BinaryPrimitives.ReadUInt128LittleEndian(address);

    private static void SetDontFragment(UdpEncapSockets.Entry socket, bool v4, bool dontFragment)
    {
        if (socket.DontFragment != (dontFragment ? 1 : 0))
        {
            PacketSockets.SetPathMtuDiscovery(socket.Socket, v4 ? SocketAddresses.AF_INET : SocketAddresses.AF_INET6, dontFragment ? PacketSockets.PathMtuProbe : PacketSockets.PathMtuDont);
            socket.DontFragment = dontFragment ? 1 : 0;
        }
    }

    private void CloseRun()
    {
        if (_run.Count > 1)
        {
            _batchUdp.SetSegmentSize((ushort)_run.SegmentSize);
        }
        _run = default;
    }

    private void FlushUdp()
    {
        if (_udp is null)
        {
            return;
        }
        CloseRun();
        Send(_udp.Socket, _batchUdp);
        _udp = null;
    }

    private void FlushRaw(bool v4)
    {
        if (v4)
        {
            Send(_rawV4, _batchV4);
        }
        else if (_rawV6 is not null)
        {
            Send(_rawV6, _batchV6);
        }
        else
        {
            _batchV6.Clear();
        }
    }

    private void Send(SafeFileHandle socket, SendBatch batch)
    {
        for (int sent = 0; sent < batch.Count;)
        {
            int result = batch.Send(socket, sent);
            if (result > 0)
            {
                sent += result;
                continue;
            }
            // EINVAL: the segments of a large datagram do not fit the path (udp_send_skb).
            if (result is -EMSGSIZE or -EINVAL)
            {
                TooBigCount++;
            }
            Refused++;
            sent++;
        }
        batch.Clear();
    }

    /// <summary>The datagrams of the message that is being filled: all of one size, but a shorter last one.</summary>
    private struct UdpRun
    {
        public UInt128 Saddr;
        public UInt128 Daddr;
        public ushort Dport;
        public byte TrafficClass;
        public byte HopLimit;
        public uint FlowLabel;
        public uint Mark;
        public bool DontFragment;
        public int SegmentSize;
        public int Count;
        private int _total;
        private bool _isComplete;

        public readonly bool Takes(in UdpRun next) =>
            !_isComplete && Count < MaxSegments && next.SegmentSize <= SegmentSize && _total + next.SegmentSize <= MaxDatagram
            && next.Dport == Dport && next.TrafficClass == TrafficClass && next.HopLimit == HopLimit && next.FlowLabel == FlowLabel
            && next.Mark == Mark && next.DontFragment == DontFragment && next.Daddr == Daddr && next.Saddr == Saddr;

        public void Grow(int size)
        {
            Count++;
            _total += size;
            _isComplete = size < SegmentSize;
        }
    }
}
