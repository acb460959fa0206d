using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Xfrmd.Datapath.Ports;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// Joins consecutive packets of a flow into large ones before they are written to the host, without copying: TCP segments in order and UDP
/// datagrams of one size, as <c>tcp_gro_receive</c> and <c>udp_gro_receive</c> do. Packets of one flow stay in order, and those of two marks apart. What was added lies in
/// the caller's buffers until <see cref="Flush"/>. One per worker.
/// </summary>
public sealed class Coalescer(ITunPort port)
{
    private const int MaxFlows = 8, MaxSegments = 64, MaxTotal = 65535;
    private const int TcpFlagsAt = 13, TcpWordAt = 12, Ipv4LengthAt = 2, Ipv4IdAt = 4, Ipv6LengthAt = 4, UdpLengthAt = 4;
    private const byte Ack = 0x10, Push = 0x08, Fin = 0x01;
    private readonly OpenFlow[] _flows = CreateFlows();
    private int _open;
    private int _oldest;

    /// <summary>Packets that the host refused (device down).</summary>
    public long Refused { get; private set; }

    /// <summary>Adds a packet, or writes it at once where nothing can be joined to it.</summary>
    public void Add(in PacketSlot packet)
    {
        Span<byte> bytes = packet.Span;
        if (!Segment.TryParse(bytes, out Segment segment))
        {
            WriteAlone(packet, segment.IsFragment, verified: false);
            return;
        }
        OpenFlow? flow = Find(bytes, segment);
        if (segment.Payload == 0 || !segment.MayJoin || !Verifies(bytes, segment))
        {
            if (flow is not null)
            {
                Close(flow);
            }
            WriteAlone(packet, flushAll: false, verified: false);
            return;
        }
        if (flow is not null)
        {
            if (TryJoin(flow, packet, bytes, segment))
            {
                return;
            }
            Close(flow);
        }
        Begin(packet, bytes, segment);
    }

    /// <summary>Writes what is held.</summary>
    public void Flush()
    {
        for (int i = 0; _open > 0 && i < _flows.Length; i++)
        {
            // In the order in which they were begun.
            OpenFlow flow = _flows[(_oldest + i) % MaxFlows];
            if (flow.Count > 0)
            {
                Close(flow);
            }
        }
    }

    private static OpenFlow[] CreateFlows()
    {
        OpenFlow[] flows = new OpenFlow[MaxFlows];
        for (int i = 0; i < flows.Length; i++)
        {
            flows[i] = new OpenFlow();
        }
        return flows;
    }

    private OpenFlow? Find(ReadOnlySpan<byte> bytes, in Segment segment)
    {
        if (_open == 0)
        {
            return null;
        }
        foreach (OpenFlow flow in _flows)
        {
            if (flow.Count > 0 && flow.Shape.IsV4 == segment.IsV4 && flow.Shape.IsTcp == segment.IsTcp
                && SameEnds(flow.Parts[0].Span, bytes, segment, flow.Shape.Transport))
            {
                return flow;
            }
        }
        return null;
    }

    private static bool SameEnds(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, in Segment segment, int transport)
    {
        int at = segment.IsV4 ? 12 : 8, length = segment.IsV4 ? 8 : 32;
        return MemoryMarshal.Read<uint>(a[transport..]) == MemoryMarshal.Read<uint>(b[segment.Transport..])
            && a.Slice(at, length).SequenceEqual(b.Slice(at, length));
    }

    private static bool TryJoin(OpenFlow flow, in PacketSlot packet, ReadOnlySpan<byte> bytes, in Segment next)
    {
        ref readonly Segment first = ref flow.Shape;
        ReadOnlySpan<byte> head = flow.Parts[0].Span;
        if (flow.IsComplete || flow.Mark != packet.Mark || next.Header != first.Header || next.Transport != first.Transport || next.Payload > first.Payload
            || flow.Count == MaxSegments || flow.Total + next.Payload > MaxTotal || !SameNetwork(head, bytes, next, flow.Count))
        {
            return false;
        }
        if (next.IsTcp)
        {
            int transport = next.Transport;
            ReadOnlySpan<byte> a = head[transport..first.Header], b = bytes[transport..next.Header];
            uint difference = BinaryPrimitives.ReadUInt32BigEndian(a[TcpWordAt..]) ^ BinaryPrimitives.ReadUInt32BigEndian(b[TcpWordAt..]);
            if (BinaryPrimitives.ReadUInt32BigEndian(b[4..]) != flow.NextSequence
                || (difference & ~((uint)(Push | Fin) << 16)) != 0
                || !a[8..TcpWordAt].SequenceEqual(b[8..TcpWordAt])
                || !a[18..].SequenceEqual(b[18..]))
            {
                return false;
            }
            flow.NextSequence += (uint)next.Payload;
            flow.LastFlags = (byte)(b[TcpFlagsAt] & (Push | Fin));
        }
        flow.Parts[flow.Count++] = new PacketPart(packet.Buffer, packet.Offset + next.Header, next.Payload);
        flow.Total += next.Payload;
        flow.IsComplete = next.Payload < first.Payload || flow.LastFlags != 0;
        return true;
    }

    /// <summary>The network header says the same but for lengths, identification and checksum; identifications count up unless DF makes them idle.</summary>
    private static bool SameNetwork(ReadOnlySpan<byte> head, ReadOnlySpan<byte> bytes, in Segment next, int index)
    {
        if (!next.IsV4)
        {
            return MemoryMarshal.Read<uint>(head) == MemoryMarshal.Read<uint>(bytes) && head[7] == bytes[7];
        }
        ushort id = BinaryPrimitives.ReadUInt16BigEndian(bytes[Ipv4IdAt..]), firstId = BinaryPrimitives.ReadUInt16BigEndian(head[Ipv4IdAt..]);
        bool dontFragment = (bytes[6] & 0x40) != 0;
        return head[1] == bytes[1] && head[6] == bytes[6] && head[8] == bytes[8] && (dontFragment || id == (ushort)(firstId + index));
    }

    private void Begin(in PacketSlot packet, ReadOnlySpan<byte> bytes, in Segment segment)
    {
        OpenFlow? flow = null;
        foreach (OpenFlow candidate in _flows)
        {
            if (candidate.Count == 0)
            {
                flow = candidate;
                break;
            }
        }
        if (flow is null)
        {
            flow = _flows[_oldest];
            _oldest = (_oldest + 1) % MaxFlows;
            Close(flow);
        }
        flow.Shape = segment;
        flow.Parts[0] = new PacketPart(packet.Buffer, packet.Offset, segment.Header + segment.Payload);
        flow.Mark = packet.Mark;
        flow.Count = 1;
        flow.Total = segment.Header + segment.Payload;
        flow.LastFlags = 0;
        if (segment.IsTcp)
        {
            flow.NextSequence = BinaryPrimitives.ReadUInt32BigEndian(bytes[(segment.Transport + 4)..]) + (uint)segment.Payload;
            flow.LastFlags = (byte)(bytes[segment.Transport + TcpFlagsAt] & (Push | Fin));
        }
        flow.IsComplete = flow.LastFlags != 0;
        _open++;
    }

    private void Close(OpenFlow flow)
    {
        VnetHeader vnet = default;
        if (flow.Count == 1)
        {
            vnet.Flags = VnetHeader.DataValid;
        }
        else
        {
            CompleteHeader(flow, ref vnet);
        }
        Write(vnet, flow.Parts.AsSpan(0, flow.Count), flow.Mark);
        flow.Count = 0;
        _open--;
    }

    private static void CompleteHeader(OpenFlow flow, ref VnetHeader vnet)
    {
        ref readonly Segment shape = ref flow.Shape;
        Span<byte> head = flow.Parts[0].Span, transport = head[shape.Transport..];
        int transportLength = flow.Total - shape.Transport;
        byte protocol = shape.IsTcp ? NextHeader.Tcp : NextHeader.Udp;
        if (shape.IsTcp)
        {
            transport[TcpFlagsAt] |= flow.LastFlags;
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(transport[UdpLengthAt..], (ushort)transportLength);
        }
        ulong pseudo = shape.IsV4
            ? InternetChecksum.PseudoHeader(head.Slice(12, 4), head.Slice(16, 4), protocol, transportLength)
            : InternetChecksum.PseudoHeader(head.Slice(8, 16), head.Slice(24, 16), protocol, transportLength);
        ushort partial = (ushort)~InternetChecksum.Finish(pseudo);
        int checksumAt = shape.IsTcp ? TcpView.ChecksumAt : UdpView.ChecksumAt;
        MemoryMarshal.Write(transport[checksumAt..], in partial);
        if (shape.IsV4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(head[Ipv4LengthAt..], (ushort)flow.Total);
            Ipv4View.Seal(head);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(head[Ipv6LengthAt..], (ushort)(flow.Total - Ipv6View.HeaderLength));
        }
        vnet.Flags = VnetHeader.NeedsChecksum;
        vnet.GsoType = !shape.IsTcp ? VnetHeader.GsoUdp : shape.IsV4 ? VnetHeader.GsoTcpV4 : VnetHeader.GsoTcpV6;
        vnet.HeaderLength = (ushort)shape.Header;
        vnet.GsoSize = (ushort)shape.Payload;
        vnet.ChecksumStart = (ushort)shape.Transport;
        vnet.ChecksumOffset = (ushort)checksumAt;
    }

    private static bool Verifies(ReadOnlySpan<byte> bytes, in Segment segment)
    {
        ReadOnlySpan<byte> transport = bytes[segment.Transport..(segment.Header + segment.Payload)];
        byte protocol = segment.IsTcp ? NextHeader.Tcp : NextHeader.Udp;
        ulong pseudo = segment.IsV4
            ? InternetChecksum.PseudoHeader(bytes.Slice(12, 4), bytes.Slice(16, 4), protocol, transport.Length)
            : InternetChecksum.PseudoHeader(bytes.Slice(8, 16), bytes.Slice(24, 16), protocol, transport.Length);
        return InternetChecksum.Verifies(transport, pseudo);
    }

    private void WriteAlone(in PacketSlot packet, bool flushAll, bool verified)
    {
        if (flushAll)
        {
            Flush();
        }
        VnetHeader vnet = default;
        vnet.Flags = verified ? VnetHeader.DataValid : (byte)0;
        PacketPart part = new(packet.Buffer, packet.Offset, packet.Length);
        Write(vnet, new ReadOnlySpan<PacketPart>(in part), packet.Mark);
    }

    private void Write(in VnetHeader vnet, ReadOnlySpan<PacketPart> parts, uint mark)
    {
        if (port.Write(vnet, parts, mark) != 0)
        {
            Refused++;
        }
    }

    /// <summary>A large packet that is being put together.</summary>
    private sealed class OpenFlow
    {
        public readonly PacketPart[] Parts = new PacketPart[MaxSegments];
        public Segment Shape;
        public uint Mark;
        public int Count;
        public int Total;
        public uint NextSequence;
        public byte LastFlags;

        /// <summary>A short segment or one with PSH or FIN is the last of its large packet.</summary>
        public bool IsComplete;
    }

    /// <summary>Where the parts of one TCP or UDP packet begin.</summary>
    private struct Segment
    {
        public bool IsV4;
        public bool IsTcp;

        /// <summary>A fragment, or nothing that is known: what is held must not be overtaken by it.</summary>
        public bool IsFragment;

        /// <summary>TCP: no flags but ACK, PSH and FIN; UDP: it has a checksum.</summary>
        public bool MayJoin;
        public int Transport;
        public int Header;
        public int Payload;

        public static bool TryParse(Span<byte> bytes, out Segment segment)
        {
            segment = default;
            byte protocol;
            int end;
            if (Ipv4View.TryParse(bytes, out Ipv4View ip))
            {
                segment.IsV4 = true;
                segment.IsFragment = ip.IsFragment;
                segment.Transport = ip.HeaderLength;
                protocol = ip.Protocol;
                end = ip.Bytes.Length;
                if (segment.IsFragment || segment.Transport != Ipv4View.MinHeaderLength || !ip.HasValidChecksum)
                {
                    return false;
                }
            }
            else if (Ipv6View.TryParse(bytes, out Ipv6View ip6))
            {
                segment.Transport = Ipv6View.HeaderLength;
                protocol = ip6.NextHeader;
                end = ip6.Bytes.Length;
                segment.IsFragment = protocol is NextHeader.Fragment or NextHeader.HopByHop or NextHeader.Destination or NextHeader.Routing;
            }
            else
            {
                return false;
            }
            Span<byte> transport = bytes[segment.Transport..end];
            if (protocol == NextHeader.Tcp && TcpView.TryParse(transport, out TcpView tcp))
            {
                segment.IsTcp = true;
                segment.Header = segment.Transport + tcp.HeaderLength;
                segment.MayJoin = (tcp.Flags & ~(Push | Fin)) == Ack;
            }
            else if (protocol == NextHeader.Udp && UdpView.TryParse(transport, out UdpView udp) && udp.Length == transport.Length)
            {
                segment.Header = segment.Transport + UdpView.HeaderLength;
                segment.MayJoin = udp.Checksum != 0;
            }
            else
            {
                return false;
            }
            segment.Payload = end - segment.Header;
            return true;
        }
    }
}
