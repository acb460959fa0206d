using Xfrmd.Datapath.Tests.Oracle;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests;

/// <summary>How large packets may be, what is said to those who send larger ones, and how the rest is cut.</summary>
public sealed class SizeTests
{
    [Fact]
    public void The_inner_mtu_is_that_of_linux()
    {
        Assert.Equal(1446, Pmtu.Inner(Sas.Gcm(XfrmMode.Tunnel), 1500));
        Assert.Equal(1438, Pmtu.Inner(Sas.Authenc("cbc(aes)", 32, "hmac(sha256)", 32, 128, XfrmMode.Tunnel), 1500));
        Assert.Equal(1466, Pmtu.Inner(Sas.Gcm(XfrmMode.Transport), 1500));
        Assert.Equal(1226, Pmtu.Inner(Sas.Gcm(XfrmMode.Tunnel, AddressFamily.Inet6), 1300));   // less than IPv6 has to take
        Assert.Equal(1456, Pmtu.Inner(Sas.Ah("hmac(sha256)", 32, 96, XfrmMode.Tunnel), 1500));
    }

    [Theory]
    [InlineData(1418, OutboundVerdict.Send)]     // 1446 with its headers
    [InlineData(1419, OutboundVerdict.TooBig)]
    public void The_largest_inner_packet_fits_and_the_next_is_refused(int payload, OutboundVerdict expected)
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        byte[] packet = Packets.Udp4(payload, df: true);
        PacketSlot slot = Packets.Slot(packet);
        Assert.Equal(expected, link.Outbound.Transform(ref slot, link.Bundle, 1));
        Assert.True(slot.Length <= 1500);
        Assert.Equal("", Packets.Counters(link.Sender));
        if (expected == OutboundVerdict.TooBig)
        {
            Assert.Equal(packet, slot.Span);
            Assert.Equal(1, (int)link.SenderSas[0].Replay.Snapshot().Oseq + 1);
        }
    }

    /// <summary>A sender of IPv6 that may fragment: in BEET mode what is cut is the outer packet, whose DF the kernel then passes over (<c>ip_fragment</c>).</summary>
    [Fact]
    public void A_large_datagram_in_beet_mode_is_cut_outside()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Beet, change: static sa => sa.Selector = new XfrmSelector { Family = AddressFamily.Inet6, Saddr = XfrmAddress.Parse(Sas.Left6), Daddr = XfrmAddress.Parse(Sas.Right6), PrefixlenS = 128, PrefixlenD = 128 })]);
        PacketSlot strict = Packets.Slot(Packets.Udp6(2000, saddr: Sas.Left6, daddr: Sas.Right6)), slot = Packets.Slot(Packets.Udp6(2000, saddr: Sas.Left6, daddr: Sas.Right6));
        Assert.Equal(OutboundVerdict.Dropped, link.Outbound.TransformWhole(ref strict, link.Bundle, 1));
        Assert.Equal(OutboundVerdict.Fragment, link.Outbound.TransformWhole(ref slot, link.Bundle, 1, ignoresDf: true));
        OutboundFragments fragments = new(slot.Span, 1500, link.Identifiers);
        byte[] piece = new byte[1500];
        int count = 0;
        for (; fragments.TryNext(piece, out int length); count++)
        {
            Assert.True(Ipv4View.TryParse(piece.AsSpan(0, length), out Ipv4View ip) && !ip.DontFragment && ip.HasValidChecksum);
        }
        Assert.Equal(2, count);
    }

    [Fact]
    public void Fragmentation_needed_quotes_the_packet()
    {
        byte[] packet = Packets.Udp4(1480, df: true), message = new byte[IcmpErrors.MaxLength];
        int length = IcmpErrors.TooBig(packet, 1446, XfrmAddress.Parse("10.1.0.254").Bytes[..4], message);
        Assert.True(Ipv4View.TryParse(message.AsSpan(0, length), out Ipv4View ip));
        Assert.True(ip.HasValidChecksum);
        Assert.Equal(576, length);
        Assert.Equal(packet.AsSpan(12, 4), ip.Daddr);
        Assert.True(InternetChecksum.Verifies(ip.Payload));
        Assert.True(IcmpView.TryParse(ip.Payload, out IcmpView icmp));
        Assert.Equal((IcmpView.Unreachable, IcmpView.FragmentationNeeded, 1446), (icmp.Type, icmp.Code, icmp.Mtu));
        Assert.Equal(packet.AsSpan(0, icmp.Embedded.Length), icmp.Embedded);
        Assert.Equal(0, IcmpErrors.TooBig(message.AsSpan(0, length), 100, XfrmAddress.Parse("10.1.0.254").Bytes[..4], new byte[IcmpErrors.MaxLength]));
    }

    [Fact]
    public void Packet_too_big_quotes_the_packet()
    {
        byte[] packet = Packets.Udp6(1440), message = new byte[IcmpErrors.MaxLength];
        int length = IcmpErrors.TooBig(packet, 1426, XfrmAddress.Parse("fe80::1").Bytes, message);
        Assert.True(Ipv6View.TryParse(message.AsSpan(0, length), out Ipv6View ip));
        Assert.Equal(1280, length);
        Assert.True(InternetChecksum.Verifies(ip.Payload, InternetChecksum.PseudoHeader(ip.Saddr, ip.Daddr, NextHeader.Icmpv6, ip.Payload.Length)));
        Assert.True(IcmpView.TryParse(ip.Payload, out IcmpView icmp));
        Assert.Equal((IcmpView.V6PacketTooBig, 0, 1426u), (icmp.Type, icmp.Code, icmp.V6Mtu));
    }

    [Theory]
    [InlineData(AddressFamily.Inet)]
    [InlineData(AddressFamily.Inet6)]
    public void Fragments_fit_the_path_and_make_up_the_packet(ushort family)
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel, family)]);
        PacketSlot slot = Packets.Slot(Packets.Udp4(4000));
        Assert.Equal(OutboundVerdict.Fragment, link.Outbound.Transform(ref slot, link.Bundle, 1));
        OutboundFragments fragments = new(slot.Span, 1500, link.Identifiers);
        byte[] room = new byte[1500];
        List<byte[]> parts = [];
        while (fragments.TryNext(room, out int length))
        {
            parts.Add(room[..length]);
        }
        Assert.Equal(3, parts.Count);
        byte[] whole = Assert.Single(Reassembly.Whole(parts));
        Assert.Equal(slot.Span.ToArray(), whole);
    }

    [Fact]
    public void A_small_ipv6_packet_is_not_lost_where_the_path_over_ipv4_is_smaller()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)], pathMtu: 1280);
        PacketSlot slot = Packets.Slot(Packets.Udp6(1280 - 48));
        Assert.Equal(OutboundVerdict.Fragment, link.Outbound.Transform(ref slot, link.Bundle, 1));
        slot = Packets.Slot(Packets.Udp6(100));
        Assert.Equal(OutboundVerdict.Send, link.Outbound.Transform(ref slot, link.Bundle, 1));
        Assert.True(Ipv4View.TryParse(slot.Span, out Ipv4View ip));
        Assert.True(ip.DontFragment);
    }

    [Fact]
    public void A_batch_gets_one_run_of_numbers_and_exact_counts()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        PacketSlot[] slots = [.. new[] { 100, 1470, 200, 300 }.Select(static n => Packets.Slot(Packets.Udp4(n, df: true)))];
        OutboundVerdict[] verdicts = new OutboundVerdict[slots.Length];
        link.Outbound.Transform(slots, link.Bundle, 1, verdicts);
        Assert.Equal([OutboundVerdict.Send, OutboundVerdict.TooBig, OutboundVerdict.Send, OutboundVerdict.Send], verdicts);
        Assert.Equal([1, 2, 3], new[] { 0, 2, 3 }.Select(i => (int)slots[i].Span[27]));
        Assert.Equal((3ul, 600ul + (3 * 28)), (link.SenderSas[0].CurrentLifetime.Packets, link.SenderSas[0].CurrentLifetime.Bytes));
    }

    [Fact]
    public void No_room_is_an_error_not_an_exception()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        byte[] packet = Packets.Udp4(100), tight = [.. packet];
        PacketSlot slot = new(tight, 0, tight.Length, 0, tight.Length);
        Assert.Equal(OutboundVerdict.Dropped, link.Outbound.Transform(ref slot, link.Bundle, 1));
        Assert.Equal("OutError=1", Packets.Counters(link.Sender));
    }
}
