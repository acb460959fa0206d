using System.Buffers.Binary;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Capture;

/// <summary>
/// Where one worker shows its packets. While nobody captures, <see cref="IsOn"/> is all that a packet costs. Its methods are for the worker's
/// thread, allocate nothing and never wait.
/// </summary>
public sealed class CaptureTap
{
    private const int MaxHeader = Ipv6View.HeaderLength + UdpView.HeaderLength;
    private readonly TimeProvider _time;
    private volatile CaptureRing[]? _rings;

    internal CaptureTap(TimeProvider time) => _time = time;

    /// <summary>Somebody captures.</summary>
    public bool IsOn => _rings is not null;

    /// <summary>Packets of one flow, before they are protected or whatever else was decided.</summary>
    public void Leaves(ReadOnlySpan<PacketSlot> packets, OutboundDecision decision)
    {
        bool isLost = decision.Action is OutboundAction.Drop or OutboundAction.Pending;
        SecurityAssociation? sa = decision.Sas is [var inner, ..] ? inner : null;
        foreach (ref readonly PacketSlot packet in packets)
        {
            Add(CaptureSide.Clear, inbound: false, packet.Span, sa, decision.Counter, isLost);
        }
    }

    /// <summary>A packet as the network gets it, from its outer IP header on.</summary>
    public void Sent(in PacketSlot packet) => Add(CaptureSide.Esp, inbound: false, packet.Span, null, null, isLost: false);

    /// <summary>A packet as the network brought it; <see cref="Opened"/> must follow.</summary>
    public void Arrives(in PacketSlot packet, in Arrival arrival)
    {
        CapturedPacket info = Info(CaptureSide.Esp, inbound: true);
        Span<byte> header = stackalloc byte[MaxHeader];
        int length = arrival.HeaderLength > 0 ? 0 : WriteHeader(header, packet, arrival);
        // What stands before the slot is header and, in UDP, the UDP header.
        int start = arrival.HeaderLength > 0 ? arrival.HeaderAt : packet.Offset;
        foreach (CaptureRing ring in _rings ?? [])
        {
            ring.Begin(info, header[..length], packet.Buffer.AsSpan(start, packet.End - start));
        }
    }

    /// <summary>What became of the packet that arrived.</summary>
    public void Opened(Inbound inbound, in PacketSlot packet, InboundResult result)
    {
        ReadOnlySpan<SecurityAssociation> path = inbound.Path;
        foreach (CaptureRing ring in _rings ?? [])
        {
            ring.Commit(path.IsEmpty ? null : path[0], inbound.Dropped, isLost: inbound.Dropped is not null);
        }
        if (result.Deliver)
        {
            Delivered(packet.Span, path);
        }
    }

    /// <summary>A packet for hosts, unwrapped.</summary>
    public void Delivered(ReadOnlySpan<byte> packet, ReadOnlySpan<SecurityAssociation> path) =>
        Add(CaptureSide.Clear, inbound: true, packet, path.IsEmpty ? null : path[^1], null, isLost: false);

    internal void Attach(CaptureRing ring) => _rings = [.. _rings ?? [], ring];

    internal void Detach(CaptureRing ring)
    {
        CaptureRing[] left = [.. (_rings ?? []).Where(r => r != ring)];
        _rings = left.Length == 0 ? null : left;
    }

    private void Add(CaptureSide side, bool inbound, ReadOnlySpan<byte> packet, SecurityAssociation? sa, XfrmCounter? dropped, bool isLost)
    {
        CapturedPacket info = Info(side, inbound);
        foreach (CaptureRing ring in _rings ?? [])
        {
            ring.Begin(info, default, packet);
            ring.Commit(sa, dropped, isLost);
        }
    }

    private CapturedPacket Info(CaptureSide side, bool inbound) => new() { Side = side, Inbound = inbound, Ticks = _time.GetUtcNow().UtcTicks };

    /// <summary>The outer headers that the socket kept to itself, as far as they are known.</summary>
    private static int WriteHeader(Span<byte> header, in PacketSlot packet, in Arrival arrival)
    {
        bool v4 = arrival.Family == AddressFamily.Inet, inUdp = arrival.EncapType != 0;
        int network = v4 ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength, length = network + (inUdp ? UdpView.HeaderLength : 0);
        byte protocol = inUdp ? NextHeader.Udp : arrival.Proto;
        if (v4)
        {
            Ipv4View.WriteWhole(
                header, arrival.Tos, length + packet.Length, arrival.Id, arrival.FragmentField, arrival.HopLimit, protocol, arrival.Saddr.Bytes, arrival.Daddr.Bytes);
        }
        else
        {
            Ipv6View.Write(header, arrival.Tos, arrival.FlowLabel, protocol, arrival.HopLimit, arrival.Saddr.Bytes, arrival.Daddr.Bytes);
            Ipv6View.Complete(header[..network], length + packet.Length);
        }
        if (inUdp)
        {
            Span<byte> udp = header[network..length];
            BinaryPrimitives.WriteUInt16BigEndian(udp, arrival.Sport);
            BinaryPrimitives.WriteUInt16BigEndian(udp[2..], arrival.Dport);
            BinaryPrimitives.WriteUInt16BigEndian(udp[4..], (ushort)(UdpView.HeaderLength + packet.Length));
            BinaryPrimitives.WriteUInt16BigEndian(udp[6..], 0);
        }
        return length;
    }
}
