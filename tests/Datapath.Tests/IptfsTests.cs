using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests;

/// <summary>IP-TFS: many packets in one, one in many, and what loss and disorder leave of them.</summary>
public sealed class IptfsTests
{
    private const int Mtu = 1500;

    private static Link Create(SaIptfs? parameters = null, ushort family = AddressFamily.Inet, int pathMtu = Mtu)
    {
        Link link = new(() => [Sas.Gcm(XfrmMode.Iptfs, family, change: sa =>
        {
            sa.Iptfs = parameters ?? new SaIptfs();
            sa.Direction = SaDirection.None;
        })], pathMtu);
        return link.WithPolicy(AddressFamily.Inet);
    }

    private static List<byte[]> Send(Link link, params byte[][] packets)
    {
        foreach (byte[] packet in packets)
        {
            PacketSlot slot = Packets.Slot(packet);
            Assert.Equal(OutboundVerdict.Queued, link.Outbound.Transform(ref slot, link.Bundle, link.Clock.Seconds));
        }
        return Drain(link);
    }

    private static List<byte[]> Drain(Link link)
    {
        List<byte[]> wire = [];
        for (; ; )
        {
            PacketSlot slot = new(new byte[4096], 256, 0, 0, 4096);
            if (!link.Outbound.TryTake(link.Bundle, ref slot, link.Clock.Seconds, out OutboundVerdict verdict))
            {
                return wire;
            }
            Assert.Equal(OutboundVerdict.Send, verdict);
            wire.Add(slot.Span.ToArray());
        }
    }

    private static List<byte[]> Receive(Link link, IEnumerable<byte[]> wire)
    {
        List<byte[]> received = [];
        foreach (byte[] packet in wire)
        {
            Assert.Null(link.Receive(packet));
            Take(link, received);
        }
        return received;
    }

    private static void Take(Link link, List<byte[]> received)
    {
        while (link.Inbound.TryTake(out Span<byte> inner, out InboundResult result))
        {
            Assert.True(result.Deliver);
            received.Add(inner.ToArray());
        }
    }

    private static byte[] Numbered(int length, int number)
    {
        byte[] packet = Packets.Udp4(length, df: true);
        packet[5] = (byte)number;
        Ipv4View.Seal(packet);
        return packet;
    }

    private static byte[][] Some(params int[] lengths) => [.. lengths.Select(Numbered)];

    [Fact]
    public void Small_packets_share_one()
    {
        using Link link = Create();
        byte[][] sent = Some(10, 200, 300, 40);
        byte[] wire = Assert.Single(Send(link, sent));
        Assert.True(Ipv4View.TryParse(wire, out Ipv4View ip));
        Assert.Equal((0, true, 64), (ip.Tos, ip.DontFragment, ip.Ttl));
        Assert.Equal(sent, Receive(link, [wire]));
        Assert.Equal((ulong)(4 + sent.Sum(static p => p.Length)), link.ReceiverSas[0].CurrentLifetime.Bytes);
    }

    [Theory]
    [InlineData(AddressFamily.Inet)]
    [InlineData(AddressFamily.Inet6)]
    public void A_large_packet_is_spread_over_several_that_others_fill_up(ushort family)
    {
        using Link link = Create(family: family);
        byte[][] sent = Some(10, 9000, 20, 3000, 1400, 1400, 5);
        List<byte[]> wire = Send(link, sent);
        Assert.All(wire, static packet => Assert.True(packet.Length <= Mtu));
        Assert.Equal(sent, Receive(link, wire));
        Assert.Equal("", Packets.Counters(link.Receiver));
    }

    [Fact]
    public void A_header_may_be_cut_anywhere()
    {
        for (int first = 1380; first < 1446; first++)
        {
            using Link link = Create();
            byte[][] sent = Some(first - 28, 3000, 3000);
            Assert.Equal(sent, Receive(link, Send(link, sent)));
        }
    }

    [Fact]
    public void A_packet_size_that_is_asked_for_is_kept()
    {
        using Link link = Create(new SaIptfs { PacketSize = 400 });
        byte[][] sent = Some(100, 1000, 100);
        List<byte[]> wire = Send(link, sent);
        Assert.All(wire, static packet => Assert.True(packet.Length <= 440));
        Assert.Equal(sent, Receive(link, wire));
    }

    [Fact]
    public void Disorder_within_the_window_is_put_right()
    {
        using Link link = Create();
        byte[][] sent = Some(1000, 4000, 1000);
        List<byte[]> wire = Send(link, sent);
        Assert.True(wire.Count >= 4);
        (wire[1], wire[2], wire[3]) = (wire[3], wire[1], wire[2]);
        Assert.Equal(sent, Receive(link, wire));
    }

    [Fact]
    public void What_was_lost_takes_only_its_own_packets_along()
    {
        using Link link = Create();
        byte[][] before = Some(100), torn = Some(4000), after = Some(101, 102, 103, 104, 105);
        List<byte[]> wire = [.. Send(link, before), .. Send(link, torn)];
        wire.RemoveAt(2);
        foreach (byte[] packet in after)
        {
            wire.AddRange(Send(link, packet));
        }
        Assert.Equal([.. before, .. after], Receive(link, wire));
    }

    [Fact]
    public void The_drop_timer_gives_up_what_is_missing()
    {
        using Link link = Create();
        List<byte[]> wire = [.. Send(link, Some(100)), .. Send(link, Some(200)), .. Send(link, Some(300))];
        List<byte[]> received = Receive(link, [wire[0], wire[2]]);
        Assert.Single(received);
        int index = 0;
        Assert.True(link.Inbound.ExpireIptfs(ref index));
        Take(link, received);
        Assert.Single(received);
        link.Clock.Advance(TimeSpan.FromSeconds(1.5));
        index = 0;
        while (link.Inbound.ExpireIptfs(ref index))
        {
            Take(link, received);
        }
        Assert.Equal(2, received.Count);
        Assert.Null(link.Receive(wire[1]));
        Assert.False(link.Inbound.TryTake(out _, out _));
    }

    [Fact]
    public void Packets_wait_for_others_if_the_SA_says_so()
    {
        using Link link = Create(new SaIptfs { InitDelay = 20_000 });
        Assert.Empty(Send(link, Some(100)));
        Assert.Empty(Send(link, Some(200)));
        link.Clock.Advance(TimeSpan.FromMilliseconds(21));
        Assert.Equal(2, Receive(link, Drain(link)).Count);
    }

    [Fact]
    public void A_full_queue_drops_and_before_that_marks()
    {
        using Link link = Create(new SaIptfs { MaxQueueSize = 2000, InitDelay = 1_000_000 });
        byte[] marked = Packets.Udp4(900, tos: 2);
        for (int i = 0; i < 2; i++)
        {
            PacketSlot fits = Packets.Slot(marked);
            Assert.Equal(OutboundVerdict.Queued, link.Outbound.Transform(ref fits, link.Bundle, 1));
        }
        PacketSlot last = Packets.Slot(Packets.Udp4(100, tos: 2)), tooMuch = Packets.Slot(marked);
        Assert.Equal(OutboundVerdict.Queued, link.Outbound.Transform(ref last, link.Bundle, 1));
        Assert.Equal(OutboundVerdict.Dropped, link.Outbound.Transform(ref tooMuch, link.Bundle, 1));
        Assert.Equal("OutNoQueueSpace=1", Packets.Counters(link.Sender));
        link.Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal([2, 2, 3], Receive(link, Drain(link)).Select(static p => (int)p[1]));
    }

    [Fact]
    public void Without_fragmentation_a_large_packet_is_too_big()
    {
        using Link link = Create(new SaIptfs { DontFragment = true });
        PacketSlot large = Packets.Slot(Packets.Udp4(1450, df: true));
        Assert.Equal(OutboundVerdict.TooBig, link.Outbound.Transform(ref large, link.Bundle, 1));
        large = Packets.Slot(Packets.Udp4(1450));
        Assert.Equal("", Packets.Counters(link.Sender));   // forwarding refuses it: DF and the path's MTU are enough
        Assert.Equal(OutboundVerdict.TooBig, link.Outbound.Transform(ref large, link.Bundle, 1));
        Assert.Equal("OutError=1", Packets.Counters(link.Sender));
    }

    [Fact]
    public void Without_fragmentation_the_packet_size_that_is_asked_for_is_what_the_sender_is_told()
    {
        using Link link = Create(new SaIptfs { DontFragment = true, PacketSize = 400 });
        Assert.Equal(400 - 20 - 8 - 8 - 4, link.Bundle.InnerMtu);
        PacketSlot large = Packets.Slot(Packets.Udp4(500, df: true));
        Assert.Equal(OutboundVerdict.TooBig, link.Outbound.Transform(ref large, link.Bundle, 1));
        Assert.Equal("OutError=1", Packets.Counters(link.Sender));
    }

    [Fact]
    public void A_payload_that_is_missed_while_a_packet_is_put_together_is_an_error()
    {
        using Link link = Create(new SaIptfs { ReorderWindow = 0 });
        byte[][] after = Some(101);
        List<byte[]> wire = [.. Send(link, Some(4000)), .. Send(link, after)];
        wire.RemoveAt(1);
        Assert.Equal(after, Receive(link, wire));
        Assert.Equal("InIptfsError=1", Packets.Counters(link.Receiver));
    }

    [Fact]
    public void A_block_offset_past_the_end_of_the_packet_that_goes_on_is_no_error()
    {
        using Link link = Create();
        byte[] packet = Packets.Udp4(100);
        link.Receive(Sealed(link, [0, 0, 0, 0, .. packet[..50]], 1));
        Assert.False(link.Inbound.TryTake(out _, out _));
        link.Receive(Sealed(link, [0, 0, 0, (byte)(packet.Length - 50 + 3), .. packet[50..], 9, 9, 9], 2));
        Assert.True(link.Inbound.TryTake(out Span<byte> whole, out _));
        Assert.Equal(packet, whole.ToArray());
        Assert.Equal("", Packets.Counters(link.Receiver));
    }

    [Fact]
    public void What_was_begun_is_forgotten_after_the_drop_time()
    {
        using Link link = Create();
        byte[] packet = Packets.Udp4(100);
        link.Receive(Sealed(link, [0, 0, 0, 0, .. packet[..50]], 1));
        link.Clock.Advance(TimeSpan.FromSeconds(1.5));
        int index = 0;
        Assert.True(link.Inbound.ExpireIptfs(ref index));
        link.Receive(Sealed(link, [0, 0, 0, (byte)(packet.Length - 50), .. packet[50..]], 2));
        Assert.False(link.Inbound.TryTake(out _, out _));
        Assert.Equal("", Packets.Counters(link.Receiver));
    }

    [Theory]
    [InlineData("0200000045", XfrmCounter.InHdrError)]         // sub-type 2
    [InlineData("0001000045", XfrmCounter.InHdrError)]         // reserved bits
    [InlineData("000000", XfrmCounter.InBufferError)]          // no whole header
    [InlineData("0100000045", XfrmCounter.InBufferError)]      // nor that of sub-type 1
    [InlineData("00000000950000001122", XfrmCounter.InBufferError)]   // neither IPv4, IPv6 nor padding
    [InlineData("0000000045000003112233", XfrmCounter.InIptfsError)]   // shorter than a header
    public void Nonsense_is_counted(string payload, XfrmCounter counter)
    {
        using Link link = Create();
        link.Receive(Sealed(link, Convert.FromHexString(payload), 1));
        Assert.Equal($"{counter}=1", Packets.Counters(link.Receiver));
    }

    [Fact]
    public void Any_authentic_payload_is_survived()
    {
        Random random = new(7);
        using Link link = Create();
        for (uint i = 1; i < 5000; i++)
        {
            byte[] payload = new byte[random.Next(1, 300)];
            random.NextBytes(payload);
            if (payload.Length > 4)
            {
                (payload[0], payload[1], payload[2]) = ((byte)random.Next(2), 0, (byte)random.Next(2));
                payload[4] = (byte)((random.Next(3) * 0x20) | (payload[4] & 15));
            }
            link.Receive(Sealed(link, payload, i + (uint)random.Next(3)));
            while (link.Inbound.TryTake(out _, out _))
            {
            }
        }
    }

    private static byte[] Sealed(Link link, byte[] payload, uint sequence)
    {
        SecurityAssociation sa = link.SenderSas[0];
        using Crypto.EspContext context = sa.Esp!.CreateContext();
        int plain = (payload.Length + 2 + 3) & ~3;
        byte[] esp = new byte[8 + 8 + plain + 16];
        EspView.Write(esp, sa.Id.Spi.Value, sequence);
        payload.CopyTo(esp, 16);
        esp[16 + plain - 2] = (byte)(plain - payload.Length - 2);
        esp[16 + plain - 1] = NextHeader.Aggfrag;
        context.Seal(esp, false, 0);
        return Packets.WithPayload(Packets.Udp4(0, saddr: Sas.Left4, daddr: Sas.Right4), esp, NextHeader.Esp);
    }
}
