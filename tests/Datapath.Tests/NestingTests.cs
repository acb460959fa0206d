using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests;

/// <summary>Several SAs for one packet, options and extension headers, and what NATs do: what was sent comes out.</summary>
public sealed class NestingTests
{
    private static readonly byte[] RecordRoute = [7, 7, 4, 0, 0, 0, 0, 0];        // with the end of the list behind it
    private static readonly byte[] RouterAlert = [148, 4, 0, 0];
    private static readonly byte[] HopByHop = [0, 0, 5, 2, 0, 0, 1, 0];           // router alert, PadN
    private static readonly byte[] LateOptions = [0, 0, 1, 4, 0, 0, 0, 0];        // PadN

    private static byte[] Routing(byte left) => [0, 2, 0, left, 0, 0, 0, 0, .. XfrmAddress.Parse("2001:db8:c::1").Bytes];

    [Fact]
    public void Esp_inside_ah()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Transport), Sas.Ah("hmac(sha256)", 32, 128, XfrmMode.Transport)]);
        link.WithPolicy(AddressFamily.Inet);
        byte[] sent = Packets.Udp4(100, saddr: Sas.Left4, daddr: Sas.Right4), wire = link.Send(sent);
        Assert.Equal(NextHeader.Ah, wire[9]);
        Assert.Equal(NextHeader.Esp, wire[20]);
        Assert.Equal(sent, link.Receive(wire));
        Assert.Equal(108ul, link.ReceiverSas[0].CurrentLifetime.Bytes);
        Assert.Equal(1ul, link.ReceiverSas[1].CurrentLifetime.Packets);
        wire[8]--;   // TTL is mutable
        Ipv4View.Seal(wire);
        Assert.Null(link.Receive(wire));
        Assert.Equal("InStateSeqError=1", Packets.Counters(link.Receiver));
    }

    [Theory]
    [InlineData(20)]
    [InlineData(900)]
    public void Ipcomp_tunnel_inside_esp_transport(int length)
    {
        using Link link = new(() => [Sas.Comp(XfrmMode.Tunnel), Sas.Gcm(XfrmMode.Transport)]);
        link.WithPolicy(AddressFamily.Inet);
        byte[] sent = Packets.Udp4(length), wire = link.Send(sent);
        Assert.True(length < 90 || wire.Length < length);
        Assert.Equal(sent, link.Receive(wire));
        Assert.Equal("", Packets.Counters(link.Receiver));
    }

    [Theory]
    [InlineData(20)]
    [InlineData(900)]
    public void Ipcomp_transport_inside_esp_transport_over_ipv6(int length)
    {
        using Link link = new(() => [Sas.Comp(XfrmMode.Transport, AddressFamily.Inet6), Sas.Gcm(XfrmMode.Transport, AddressFamily.Inet6)]);
        link.WithPolicy(AddressFamily.Inet6);
        byte[] sent = Packets.Udp6(length, saddr: Sas.Left6, daddr: Sas.Right6);
        Assert.Equal(sent, link.Receive(link.Send(sent)));
    }

    [Fact]
    public void A_tunnel_inside_a_tunnel()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel, AddressFamily.Inet6), Sas.Authenc("cbc(aes)", 16, "hmac(sha256)", 32, 128, XfrmMode.Tunnel)]);
        link.WithPolicy(AddressFamily.Inet);
        byte[] sent = Packets.Udp4(100, tos: 0xb8);
        Assert.Equal(sent, link.Receive(link.Send(sent), out InboundResult result));
        Assert.Equal(PolicyDirection.In, result.Direction);
        link.Host.Local = static address => address.Equals(XfrmAddress.Parse(Sas.Right4)) || address.Equals(XfrmAddress.Parse(Sas.Right6));
        Assert.Equal(sent, link.Receive(link.Send(sent), out result));
        Assert.Equal(PolicyDirection.Fwd, result.Direction);
    }

    /// <summary>With a device of kind xfrm, policy is asked before ESP that came out of a tunnel (<c>xfrmi_input</c>).</summary>
    [Fact]
    public void Esp_that_came_out_of_a_tunnel_needs_a_policy_where_there_is_an_xfrm_interface()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel, AddressFamily.Inet6), Sas.Gcm(XfrmMode.Tunnel, spi: 0x2000, change: static sa => sa.Reqid = 9)]);
        link.WithPolicy(AddressFamily.Inet);
        link.Host.Interfaces.Add(77);
        byte[] sent = Packets.Udp4(100);
        Assert.Null(link.Receive(link.Send(sent)));
        Assert.Equal("InNoPols=1", Packets.Counters(link.Receiver));
        Assert.Equal(0ul, link.ReceiverSas[0].CurrentLifetime.Packets);

        PolicyTemplate outer = new() { Family = AddressFamily.Inet, Reqid = 9, ModeByte = (byte)XfrmMode.Tunnel, Aalgos = uint.MaxValue };
        outer.Id.Proto = IpProtocol.Esp;
        lock (link.Receiver.Gate)
        {
            link.Receiver.Spd.Insert(new Policy { Selector = new XfrmSelector { Family = AddressFamily.Inet6 }, Direction = PolicyDirection.In, TemplateArray = [outer] }, exclusive: true);
        }
        Assert.Equal(sent, link.Receive(link.Send(sent)));
        Assert.Equal("InNoPols=1", Packets.Counters(link.Receiver));
    }

    [Fact]
    public void The_inner_of_two_tunnels_is_left_alone_if_it_is_for_another()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel, AddressFamily.Inet6), Sas.Gcm(XfrmMode.Tunnel, spi: 0x2000)]);
        link.Host.Local = static address => address.Equals(XfrmAddress.Parse(Sas.Right4));
        Assert.Null(link.Receive(link.Send(Packets.Udp4(100))));
        Assert.Equal("InNoPols=1", Packets.Counters(link.Receiver));
        Assert.Equal(0ul, link.ReceiverSas[0].CurrentLifetime.Packets);
    }

    [Theory]
    [InlineData(AddressFamily.Inet)]
    [InlineData(AddressFamily.Inet6)]
    public void Ipv4_options_travel_through_beet(ushort outer)
    {
        void Select(SecurityAssociation sa)
        {
            sa.Selector.Family = AddressFamily.Inet;
            (sa.Selector.Saddr, sa.Selector.Daddr) = (XfrmAddress.Parse("10.1.0.1"), XfrmAddress.Parse("10.2.0.1"));
            (sa.Selector.PrefixlenS, sa.Selector.PrefixlenD) = (32, 32);
        }
        foreach (byte[] options in new[] { RouterAlert, RecordRoute, [.. RecordRoute, .. RouterAlert] })
        {
            using Link link = new(() => [Sas.Gcm(XfrmMode.Beet, outer, change: Select)]);
            link.WithPolicy(AddressFamily.Inet);
            byte[] sent = Packets.Udp4(100, options: options, df: true), received = link.Receive(link.Send(sent))!;
            Assert.Equal(sent[20..], received[20..]);
            Assert.Equal(sent[0], received[0]);
        }
    }

    [Fact]
    public void Beet_refuses_ipv4_fragments()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Beet)]);
        byte[] fragment = Packets.Udp4(100);
        fragment[6] = 0x20;
        Ipv4View.Seal(fragment);
        PacketSlot slot = Packets.Slot(fragment);
        Assert.Equal(OutboundVerdict.Dropped, link.Outbound.Transform(ref slot, link.Bundle, 1));
        Assert.Equal("OutStateModeError=1", Packets.Counters(link.Sender));
    }

    [Theory]
    [InlineData("hmac(sha1)", 20, 96)]
    [InlineData("hmac(sha256)", 32, 128)]
    public void Ah_covers_options_that_do_not_change(string auth, int key, int truncBits)
    {
        using Link link = new(() => [Sas.Ah(auth, key, truncBits, XfrmMode.Transport)]);
        link.WithPolicy(AddressFamily.Inet);
        byte[] sent = Packets.Udp4(60, saddr: Sas.Left4, daddr: Sas.Right4, options: [.. RecordRoute, .. RouterAlert]), wire = link.Send(sent);
        byte[] changed = [.. wire];
        changed[20 + 4] = 9;    // a router recorded itself
        Ipv4View.Seal(changed);
        Assert.NotNull(link.Receive(changed));
        byte[] forged = [.. link.Send(sent)];
        forged[20 + 8 + 3] = 1;   // router alert's value
        Ipv4View.Seal(forged);
        Assert.Null(link.Receive(forged));
        Assert.Equal(1u, link.ReceiverSas[0].Stats.IntegrityFailed);
    }

    [Theory]
    [InlineData(IpProtocol.Esp)]
    [InlineData(IpProtocol.Ah)]
    public void Ipv6_extension_headers_stay_outside_up_to_the_routing_header(byte proto)
    {
        using Link link = new(() => [proto == IpProtocol.Esp
            ? Sas.Gcm(XfrmMode.Transport, AddressFamily.Inet6)
            : Sas.Ah("hmac(sha256)", 32, 128, XfrmMode.Transport, AddressFamily.Inet6)]);
        link.WithPolicy(AddressFamily.Inet6);
        byte[] sent = Packets.Udp6(60, 0xb8, [(NextHeader.HopByHop, HopByHop), (NextHeader.Destination, LateOptions), (NextHeader.Routing, Routing(0)), (NextHeader.Destination, LateOptions)],
            Sas.Left6, Sas.Right6);
        byte[] wire = link.Send(sent);
        Assert.True(Ipv6Extensions.TryFindFragmentable(wire, out int offset, out int nextHeaderAt));
        Assert.Equal(40 + 8 + 8 + 24, offset);
        Assert.Equal(proto, wire[nextHeaderAt]);
        Assert.Equal(sent, link.Receive(wire));
    }

    [Fact]
    public void Ah_is_reckoned_for_the_routing_headers_last_hop()
    {
        using Link link = new(() => [Sas.Ah("hmac(sha256)", 32, 128, XfrmMode.Transport, AddressFamily.Inet6)]);
        link.WithPolicy(AddressFamily.Inet6);
        // Sent to a router, which puts the final destination in.
        byte[] routing = [0, 2, 0, 1, 0, 0, 0, 0, .. XfrmAddress.Parse(Sas.Right6).Bytes];
        byte[] wire = link.Send(Packets.Udp6(60, 0, [(NextHeader.Routing, routing)], Sas.Left6, "2001:db8:c::1"));
        byte[] arrived = [.. wire];
        wire.AsSpan(24, 16).CopyTo(arrived.AsSpan(48));
        wire.AsSpan(48, 16).CopyTo(arrived.AsSpan(24));
        arrived[40 + 3] = 0;
        Assert.NotNull(link.Receive(arrived));
    }

    [Theory]
    [InlineData(AddressFamily.Inet)]
    [InlineData(AddressFamily.Inet6)]
    public void A_nat_on_the_way_is_noticed_and_the_checksum_mended(ushort family)
    {
        bool isIpv4 = family == AddressFamily.Inet;
        void InUdp(SecurityAssociation sa) => sa.Encap = new XfrmEncapTmpl { EncapType = XfrmEncapTmpl.EspInUdp, EncapSport = Be16.From(4500), EncapDport = Be16.From(4500) };
        using Link link = new(() => [Sas.Gcm(XfrmMode.Transport, family, change: InUdp)]);
        link.WithPolicy(family);
        byte[] wire = link.Send(isIpv4 ? Packets.Udp4(60, saddr: Sas.Left4, daddr: Sas.Right4) : Packets.Udp6(60, saddr: Sas.Left6, daddr: Sas.Right6));
        Assert.True(isIpv4 || Packets.HasGoodUdp(wire));
        wire[isIpv4 ? 15 : 23] = 77;     // the NAT's address
        wire[isIpv4 ? 20 : 40] = 0x99;   // and port
        byte[] received = link.Receive(wire)!;
        Assert.True(Packets.HasGoodUdp(received));
        Assert.Equal(77, received[isIpv4 ? 15 : 23]);
    }

    /// <summary>What a tunnel within brings has its own checksum, which no NAT has made wrong.</summary>
    [Fact]
    public void The_checksum_of_what_is_protected_once_more_is_not_mended()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel), Sas.Gcm(XfrmMode.Transport, spi: 0x1001, change: static sa =>
            sa.Encap = new XfrmEncapTmpl { EncapType = XfrmEncapTmpl.EspInUdp, EncapSport = Be16.From(4500), EncapDport = Be16.From(4500) })]);
        link.WithPolicy(AddressFamily.Inet);
        byte[] good = Packets.Udp4(60), bad = [.. good];
        bad[^1] ^= 1;
        Assert.Equal(good, link.Receive(link.Send(good)));
        Assert.Null(link.Receive(link.Send(bad)));
        Assert.Equal("", Packets.Counters(link.Receiver));
    }

    [Fact]
    public void Six_transforms_are_the_most()
    {
        using Link link = new(() => [.. Enumerable.Range(0, 7).Select(static i => Sas.Ah("hmac(md5)", 16, 96, XfrmMode.Transport, spi: (uint)(0x2000 + i)))]);
        Assert.Null(link.Receive(link.Send(Packets.Udp4(60, saddr: Sas.Left4, daddr: Sas.Right4))));
        Assert.Equal("InBufferError=1", Packets.Counters(link.Receiver));
    }
}
