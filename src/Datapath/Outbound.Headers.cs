using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

public sealed partial class Outbound
{
    private const byte EcnMask = 3, EctZero = 2;
    private const byte NoOperation = 1;   // IPOPT_NOP

    /// <summary>
    /// Puts the IP header before what the transform made, from <paramref name="start"/> to the packet's end, and makes that the packet. The
    /// transform's own header is written already. Mirrors <c>xfrm4_tunnel_encap_add</c> and its sisters.
    /// </summary>
    /// <param name="packet">The packet.</param>
    /// <param name="link">The SA.</param>
    /// <param name="frame">The plan; <c>PayloadLength</c> as planned.</param>
    /// <param name="start">Where UDP, ESP, AH or IPComp begins.</param>
    /// <param name="end">Where the packet ends.</param>
    /// <param name="protocol">What the header says that follows it.</param>
    /// <param name="childMtu">The MTU that the packet meets.</param>
    private void PutHeader(ref PacketSlot packet, OutboundSa link, in OutboundFrame frame, int start, int end, byte protocol, int childMtu)
    {
        if (frame.KeptHeader > 0)
        {
            CompleteHeader(ref packet, link, frame, end, protocol);
            return;
        }
        int header = start - link.HeaderLength, total = end - header;
        packet.Offset = header;
        packet.Length = total;
        Span<byte> bytes = packet.Buffer.AsSpan(header, link.HeaderLength);
        bool isBeet = link.Sa.Mode == XfrmMode.Beet;
        byte tos = isBeet ? frame.Tos : OuterTos(link, frame.Tos);
        if (!link.IsIpv4)
        {
            Ipv6View.Write(bytes, tos, frame.FlowLabel, protocol, isBeet ? frame.Ttl : link.HopLimit, link.Sa.Saddr.Bytes, link.Sa.Id.Daddr.Bytes);
            Ipv6View.Complete(bytes, total);
            return;
        }
        ushort fragmentField = frame.FragmentField, id = frame.Id;
        if (!isBeet)
        {
            fragmentField = MayFragment(link, frame, total, childMtu) ? (ushort)0 : fragmentField;
            // ip_select_ident: 0 where DF is set.
            id = fragmentField != 0 ? (ushort)0 : (ushort)identifiers.Next(link.PathHash);
        }
        Ipv4View.WriteWhole(bytes, tos, total, id, fragmentField, isBeet ? frame.Ttl : link.HopLimit, protocol, link.Sa.Saddr.Bytes, link.Sa.Id.Daddr.Bytes);
    }

    /// <summary>
    /// Moves what stands where the transform's header comes: in transport mode the packet's own header, to the front. In BEET mode writes the pseudo
    /// header that carries IPv4 options, over the header that the plan has read.
    /// </summary>
    private static void MakeRoom(ref PacketSlot packet, OutboundSa link, in OutboundFrame frame)
    {
        if (frame.KeptHeader > 0)
        {
            int header = frame.Payload - link.TransformHeader - frame.KeptHeader;
            packet.Buffer.AsSpan(packet.Offset, frame.KeptHeader).CopyTo(packet.Buffer.AsSpan(header));
            packet.StartAt(header);
        }
        else if (frame.BeetHeader > 0)
        {
            PutBeetHeader(packet.Buffer, frame);
        }
    }

    /// <summary>Transport mode: the packet's own header says what follows it now.</summary>
    private static void CompleteHeader(ref PacketSlot packet, OutboundSa link, in OutboundFrame frame, int end, byte protocol)
    {
        packet.EndAt(end);
        Span<byte> header = packet.Buffer.AsSpan(packet.Offset, frame.KeptHeader);
        if (link.IsIpv4)
        {
            Ipv4View.Complete(header, packet.Length, protocol);
        }
        else
        {
            header[frame.NextHeaderAt] = protocol;
            Ipv6View.Complete(header, packet.Length);
        }
    }

    /// <summary>
    /// Outer DF is clear: XFRM_STATE_NOPMTUDISC, or an IPv6 packet of up to 1280 bytes that the path could not take otherwise. The latter is
    /// what small_ipv6 of xfrm4_tunnel_encap_add is for; Linux never reaches it (it looks at a protocol that it has just overwritten) and loses
    /// such packets, so it is done only where they would be lost.
    /// </summary>
    private static bool MayFragment(OutboundSa link, in OutboundFrame frame, int total, int childMtu) =>
        (link.NoPmtuDiscovery && link.Queue is null) || (frame.IsInner6 && total > childMtu && frame.PayloadLength <= Ipv6View.MinMtu);

    /// <summary><c>INET_ECN_encapsulate</c> and what the flags make of it: CE becomes ECT(0).</summary>
    private static byte OuterTos(OutboundSa link, byte inner)
    {
        int dscp = link.NoDscp ? 0 : inner & ~EcnMask, ecn = inner & EcnMask;
        if (link.NoEcn)
        {
            return (byte)dscp;
        }
        return (byte)(dscp | (ecn == EcnMask ? EctZero : ecn));
    }

    /// <summary>
    /// BEET: the pseudo header that carries IPv4 options (<c>struct ip_beet_phdr</c>): next header, length, NOPs, reserved. Linux leaves in the
    /// last what stood there: the last byte of one of the packet's own addresses.
    /// </summary>
    private static void PutBeetHeader(byte[] buffer, in OutboundFrame frame)
    {
        Span<byte> pseudo = buffer.AsSpan(frame.Payload, frame.BeetHeader);
        pseudo[BeetFixed..].Fill(NoOperation);
        pseudo[0] = frame.BeetProtocol;
        pseudo[1] = (byte)(frame.BeetOptions / 8);
        pseudo[2] = (byte)(frame.BeetHeader - BeetFixed);
    }
}
