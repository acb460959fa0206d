using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

public sealed partial class Inbound
{
    private const byte EcnMask = 3;
    private const int BeetFixed = 4, BeetMax = 8, BeetMaxOptions = 250;

    private enum ModeOutcome : byte
    {
        /// <summary>The slot holds the inner packet.</summary>
        Done,

        /// <summary>The slot holds an IP-TFS payload.</summary>
        Aggregate,

        /// <summary>What came out is protected once more.</summary>
        Again,

        /// <summary>What came out says so, but is cut short.</summary>
        CannotBeRead,

        /// <summary>It does not fit the mode.</summary>
        Wrong,

        /// <summary>The inner packet is none that IP would take: lost without a counter of XFRM's.</summary>
        Lost,
    }

    /// <summary><c>xfrm_inner_mode_input</c>, and what follows from it.</summary>
    private ModeOutcome Undo(ref PacketSlot packet, ref Arrival layer, SecurityAssociation sa, byte next)
    {
        switch (sa.Mode)
        {
            case XfrmMode.Tunnel:
                // What comes out is received as what the next header says it is (ip_rcv_core, ip6_rcv_core).
                return !TryTunnel(packet, layer, sa, next) ? ModeOutcome.Wrong
                    : packet.Span[0] >> 4 != (next == NextHeader.IpIp ? 4 : 6) ? ModeOutcome.Lost
                    : Inner(ref packet, ref layer);
            case XfrmMode.Beet:
                return TryBeet(ref packet, ref layer, sa, next) ? Inner(ref packet, ref layer) : ModeOutcome.Wrong;
            case XfrmMode.Transport:
                return Transport(ref packet, ref layer, next);
            case XfrmMode.Iptfs when next == NextHeader.Aggfrag:
                return ModeOutcome.Aggregate;
            default:
                return ModeOutcome.Wrong;
        }
    }

    // xfrm4_remove_tunnel_encap, xfrm6_remove_tunnel_encap
    private static bool TryTunnel(in PacketSlot packet, in Arrival layer, SecurityAssociation sa, byte next)
    {
        const byte Ce = EcnMask;
        bool copyDscp = (sa.Flags & SaFlags.DecapDscp) != 0, propagateCe = (sa.Flags & SaFlags.NoEcn) == 0 && (layer.Tos & EcnMask) == Ce;
        if (next == NextHeader.IpIp && packet.Length >= Ipv4View.MinHeaderLength)
        {
            if ((copyDscp || propagateCe) && Ipv4View.TryParseHeader(packet.Span, out Ipv4View ip))
            {
                byte tos = InnerTos(ip.Tos, layer.Tos, copyDscp, propagateCe);
                if (tos != ip.Tos)
                {
                    ip.ChangeTos(tos);
                }
            }
            return true;
        }
        if (next == NextHeader.Ipv6 && packet.Length >= Ipv6View.HeaderLength)
        {
            if ((copyDscp || propagateCe) && Ipv6View.TryParseHeader(packet.Span, out Ipv6View ip))
            {
                ip.ChangeTrafficClass(InnerTos(ip.TrafficClass, layer.Tos, copyDscp, propagateCe));
            }
            return true;
        }
        return false;
    }

    private static byte InnerTos(byte inner, byte outer, bool copyDscp, bool propagateCe)
    {
        int tos = copyDscp ? (outer & ~EcnMask) | (inner & EcnMask) : inner;
        return (byte)(propagateCe && (tos & EcnMask) != 0 ? tos | EcnMask : tos);   // IP_ECN_set_ce: Not-ECT stays
    }

    // xfrm4_remove_beet_encap, xfrm6_remove_beet_encap
    private static bool TryBeet(ref PacketSlot packet, ref Arrival layer, SecurityAssociation sa, byte next)
    {
        if (sa.Selector.Family == AddressFamily.Inet6)
        {
            if (packet.FreeBefore < Ipv6View.HeaderLength)
            {
                return false;
            }
            packet.StartAt(packet.Offset - Ipv6View.HeaderLength);
            Span<byte> header6 = packet.Span[..Ipv6View.HeaderLength];
            Ipv6View.Write(header6, layer.Tos, layer.FlowLabel, next, layer.HopLimit, sa.Selector.Saddr.Bytes, sa.Selector.Daddr.Bytes);
            Ipv6View.Complete(header6, packet.Length);
            return true;
        }
        int options = 0;
        if (next == NextHeader.BeetPh)
        {
            Span<byte> pseudo = packet.Span;
            if (pseudo.Length < BeetFixed)
            {
                return false;
            }
            int pseudoLength = BeetFixed + pseudo[2];
            options = (pseudo[1] * 8) + BeetMax - pseudoLength;
            if (options < 0 || (options & 3) != 0 || options > BeetMaxOptions || pseudoLength > pseudo.Length)
            {
                return false;
            }
            next = pseudo[0];
            packet.StartAt(packet.Offset + pseudoLength);
        }
        int header = Ipv4View.MinHeaderLength, words = (header + options) / 4;
        if (packet.FreeBefore < header || words > 15 || options > packet.Length || sa.Selector.Family != AddressFamily.Inet)
        {
            return false;
        }
        packet.StartAt(packet.Offset - header);
        Span<byte> bytes = packet.Span;
        Ipv4View.Write(bytes, layer.Tos, layer.Id, layer.FragmentField, layer.HopLimit, sa.Selector.Saddr.Bytes, sa.Selector.Daddr.Bytes);
        bytes[0] = (byte)((4 << 4) | words);
        Ipv4View.Complete(bytes, packet.Length, next);
        return true;
    }

    // xfrm4_transport_input, xfrm6_transport_input; then the loop of xfrm_input
    private ModeOutcome Transport(ref PacketSlot packet, ref Arrival layer, byte next)
    {
        if (!layer.TryMaterialize(ref packet))
        {
            return ModeOutcome.Wrong;
        }
        layer.Reattach(packet, next);
        if (MayNeedSa(next))
        {
            ModeOutcome outcome = Nested(packet, layer);
            if (outcome != ModeOutcome.Done)
            {
                return outcome;
            }
        }
        layer.Conclude(packet);
        packet.StartAt(layer.HeaderAt);
        return ModeOutcome.Done;
    }

    /// <summary>A packet came out of a tunnel, as if received anew: it may be protected again, if it is for us.</summary>
    private ModeOutcome Inner(ref PacketSlot packet, ref Arrival layer)
    {
        Span<byte> bytes = packet.Span;
        byte protocol;
        if (Ipv4View.TryParse(bytes, out Ipv4View ip))
        {
            packet.Length = ip.TotalLength;   // TFC padding goes (ip_rcv_core)
            protocol = ip.IsFragment ? (byte)0 : ip.Protocol;
        }
        else if (Ipv6View.TryParse(bytes, out Ipv6View ip6) && !ip6.HasForbiddenAddress)
        {
            packet.Length = ip6.Bytes.Length;
            protocol = ip6.NextHeader;
        }
        else
        {
            return ModeOutcome.Lost;
        }
        if (!MayNeedSa(protocol))
        {
            return ModeOutcome.Done;
        }
        PacketSlot inner = packet;
        if (!Arrival.TryParse(ref inner, out Arrival arrival) || !host.IsLocal(arrival.Daddr, arrival.Family))
        {
            return ModeOutcome.Done;
        }
        ModeOutcome outcome = IsPlainTunnel(arrival.Proto) ? Nested(inner, arrival) : ModeOutcome.Again;
        if (outcome == ModeOutcome.Again)
        {
            packet = inner;
            layer = arrival;
        }
        return outcome;
    }

    /// <summary>
    /// What came out names another transform, or plain IP in IP. That the host's own tunnel devices see first (<c>tunnel4_rcv</c>, <c>tunnel6_rcv</c>
    /// and the order of their handlers), then the SAs that IPComp tunnels lean on; without either it is lost for want of an SA.
    /// </summary>
    private ModeOutcome Nested(in PacketSlot packet, in Arrival layer)
    {
        if (IsPlainTunnel(layer.Proto))
        {
            bool isInner4 = layer.Proto == IpProtocol.IpIp;
            if (packet.Length < (isInner4 ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength))
            {
                return ModeOutcome.Lost;
            }
            if (IsForTunnelDevice(layer)
                && space.Sad.Lookup(packet.Mark, layer.Daddr, space.Sad.TunnelSpi(layer.Saddr, layer.Family), TypeOf(layer), layer.Family) is null)
            {
                return ModeOutcome.Done;
            }
        }
        return TryReadSpi(packet.Span, layer, out _, out _) ? ModeOutcome.Again : ModeOutcome.CannotBeRead;
    }

    private bool IsForTunnelDevice(in Arrival layer) =>
        IsPlainTunnel(layer.Proto) && host.HasTunnelDevice(layer.Family, layer.Proto == IpProtocol.IpIp ? AddressFamily.Inet : AddressFamily.Inet6);

    private static bool IsPlainTunnel(byte protocol) => protocol is IpProtocol.IpIp or IpProtocol.Ipv6;

    /// <summary>What a transform may carry for another SA: IPIP too, which an IPComp tunnel sends where nothing was to be gained.</summary>
    private static bool MayNeedSa(byte protocol) => protocol is NextHeader.Esp or NextHeader.Ah or NextHeader.Comp || IsPlainTunnel(protocol);
}
