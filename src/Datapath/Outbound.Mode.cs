using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

public sealed partial class Outbound
{
    private const int BeetFixed = 4, BeetMax = 8;   // struct ip_beet_phdr, IPV4_BEET_PHMAXLEN

    /// <summary>
    /// What the SA's mode makes of the packet, without touching it, and whether there is room for it. Mirrors <c>xfrm_outer_mode_output</c> and
    /// <c>xfrm_inner_extract_output</c>.
    /// </summary>
    private bool TryPlan(in PacketSlot packet, OutboundSa link, int childMtu, out OutboundFrame frame)
    {
        frame = default;
        Span<byte> bytes = packet.Span;
        bool planned = Ipv4View.TryParse(bytes, out Ipv4View ip)
            ? TryPlan4(packet, ip, link, ref frame)
            : Ipv6View.TryParse(bytes, out Ipv6View ip6) && TryPlan6(packet, ip6, link, ref frame);
        if (!planned)
        {
            return Drop(XfrmCounter.OutStateModeError);
        }
        return HasRoom(packet, link, frame, childMtu);
    }

    private bool HasRoom(in PacketSlot packet, OutboundSa link, in OutboundFrame frame, int childMtu)
    {
        int header = frame.KeptHeader > 0 ? frame.KeptHeader : link.HeaderLength;
        int behind = TrailerLength(link, frame, childMtu);
        return (frame.Payload - link.TransformHeader - header >= packet.Floor && frame.Payload + frame.PayloadLength + behind <= packet.Limit)
            || Drop(XfrmCounter.OutError);
    }

    private static bool TryPlan4(in PacketSlot packet, Ipv4View ip, OutboundSa link, ref OutboundFrame frame)
    {
        int total = ip.TotalLength, header = ip.HeaderLength;
        frame.Tos = ip.Tos;
        switch (link.Sa.Mode)
        {
            case XfrmMode.Tunnel:
                frame.Payload = packet.Offset;
                frame.PayloadLength = total;
                frame.NextHeader = NextHeader.IpIp;
                frame.FragmentField = (ushort)(ip.FragmentField & Ipv4View.DontFragmentBit);
                return true;

            case XfrmMode.Transport:
                frame.Payload = packet.Offset + header;
                frame.PayloadLength = total - header;
                frame.NextHeader = ip.Protocol;
                frame.KeptHeader = header;
                frame.NextHeaderAt = Ipv4View.ProtocolAt;
                return link.IsIpv4;

            case XfrmMode.Beet when !ip.IsFragment:
                int options = header - Ipv4View.MinHeaderLength, pseudo = options == 0 ? 0 : BeetMax - (options & 4);
                frame.Payload = packet.Offset + Ipv4View.MinHeaderLength - pseudo;
                frame.PayloadLength = total - Ipv4View.MinHeaderLength + pseudo;
                frame.NextHeader = pseudo == 0 ? ip.Protocol : NextHeader.BeetPh;
                frame.BeetHeader = pseudo;
                frame.BeetOptions = options;
                frame.BeetProtocol = ip.Protocol;
                frame.Ttl = ip.Ttl;
                frame.Id = ip.Id;
                frame.FragmentField = ip.FragmentField;
                return true;

            default:
                return false;
        }
    }

    private static bool TryPlan6(in PacketSlot packet, Ipv6View ip, OutboundSa link, ref OutboundFrame frame)
    {
        int total = ip.Bytes.Length;
        frame.IsInner6 = true;
        frame.Tos = ip.TrafficClass;
        frame.FlowLabel = ip.FlowLabel;
        frame.FragmentField = Ipv4View.DontFragmentBit;   // xfrm6_extract_header: an IPv6 packet counts as one with DF
        switch (link.Sa.Mode)
        {
            case XfrmMode.Tunnel:
                frame.Payload = packet.Offset;
                frame.PayloadLength = total;
                frame.NextHeader = NextHeader.Ipv6;
                return true;

            case XfrmMode.Transport:
                if (link.IsIpv4 || !Ipv6Extensions.TryFindFragmentable(ip.Bytes, out int offset, out int nextHeaderAt))
                {
                    return false;
                }
                frame.Payload = packet.Offset + offset;
                frame.PayloadLength = total - offset;
                frame.NextHeader = ip.Bytes[nextHeaderAt];
                frame.KeptHeader = offset;
                frame.NextHeaderAt = nextHeaderAt;
                return true;

            case XfrmMode.Beet:
                frame.Payload = packet.Offset + Ipv6View.HeaderLength;
                frame.PayloadLength = total - Ipv6View.HeaderLength;
                frame.NextHeader = ip.NextHeader;
                frame.Ttl = ip.HopLimit;
                return true;

            default:
                return false;
        }
    }

    private static int TrailerLength(OutboundSa link, in OutboundFrame frame, int childMtu)
    {
        if (link.Proto != IpProtocol.Esp)
        {
            return 0;
        }
        int padding = TfcLength(link, frame.PayloadLength, childMtu), plain = frame.PayloadLength + padding + 2;
        return Pmtu.RoundUp(plain, link.Align) - frame.PayloadLength + link.IcvLength;
    }
}
