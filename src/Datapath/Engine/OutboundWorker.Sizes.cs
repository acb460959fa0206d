using Xfrmd.Datapath.Ports;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Engine;

// What is larger than its path: cut, or told to its sender.
public sealed partial class OutboundWorker
{
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
            _tun.Write(default, new ReadOnlySpan<PacketPart>(in part), mark: 0);
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
}
