using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

public sealed partial class Outbound
{
    private const int MaxTotal = ushort.MaxValue;

    /// <summary><c>esp_output</c>: pads, numbers and encrypts the payload, puts it into UDP where the SA says so, and puts the header before it.</summary>
    private bool TryEsp(ref PacketSlot packet, OutboundSa link, in OutboundFrame frame, ulong sequence, int childMtu)
    {
        byte[] buffer = packet.Buffer;
        int payload = frame.PayloadLength, tfc = TfcLength(link, payload, childMtu);
        int plain = Pmtu.RoundUp(payload + tfc + 2, link.Align), padding = plain - payload - tfc - 2;
        int end = frame.Payload + payload;
        Span<byte> trailer = buffer.AsSpan(end, tfc + padding + 2);
        trailer[..tfc].Clear();
        trailer = trailer[tfc..];
        for (int i = 0; i < padding; i++)
        {
            trailer[i] = (byte)(i + 1);
        }
        trailer[padding] = (byte)padding;
        trailer[padding + 1] = frame.NextHeader;

        int start = frame.Payload - link.IvLength - EspView.HeaderLength;
        Span<byte> esp = buffer.AsSpan(start, EspView.HeaderLength + link.IvLength + plain + link.IcvLength);
        EspView.Write(esp, link.Spi, (uint)sequence);
        link.Esp!.WriteIv(esp.Slice(EspView.HeaderLength, link.IvLength), sequence);
        link.Esp.Seal(esp, link.Sa.IsEsn, (uint)(sequence >> 32));

        end = start + esp.Length;
        int udp = start - link.UdpLength;
        if (end - udp > MaxTotal - (link.IsIpv4 ? Ipv4View.MinHeaderLength : 0))
        {
            return Drop(XfrmCounter.OutStateProtoError);
        }
        if (link.UdpLength > 0)
        {
            PutUdp(buffer.AsSpan(udp, end - udp), packet, link, frame);
        }
        PutHeader(ref packet, link, frame, udp, end, link.NextHeaderValue, childMtu);
        return true;
    }

    /// <summary>XFRMA_TFCPAD: zeros up to the asked size or what the path takes (<c>esp_output</c>).</summary>
    private static int TfcLength(OutboundSa link, int payload, int childMtu)
    {
        uint asked = link.Sa.TfcPad;
        return asked == 0 ? 0 : Math.Max(0, (int)Math.Min(asked, (uint)Pmtu.Inner(link.Sa, childMtu)) - payload);
    }

    /// <summary>RFC 3948 section 2.1: the checksum is 0 over IPv4, and a real one over IPv6 (<c>esp6_output_encap</c>).</summary>
    private static void PutUdp(Span<byte> datagram, in PacketSlot packet, OutboundSa link, in OutboundFrame frame)
    {
        XfrmEncapTmpl encap = link.Sa.Encap.GetValueOrDefault();
        UdpView.Write(datagram, encap.EncapSport.Value, encap.EncapDport.Value, datagram.Length);
        if (link.IsIpv4)
        {
            return;
        }
        ulong pseudo = link.AddressSum;
        if (frame.KeptHeader > 0 && Ipv6View.TryParseHeader(packet.Span, out Ipv6View ip))
        {
            pseudo = InternetChecksum.Sum(ip.Daddr, InternetChecksum.Sum(ip.Saddr));
        }
        UdpView.Seal(datagram, InternetChecksum.Add(pseudo, InternetChecksum.PseudoHeader([], [], NextHeader.Udp, datagram.Length)));
    }
}
