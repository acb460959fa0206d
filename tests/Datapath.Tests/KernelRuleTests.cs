using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests;

/// <summary>Rules that a real kernel taught, one by one.</summary>
public sealed class KernelRuleTests
{
    [Fact]
    public void An_ipcomp_SA_with_a_replay_window_refuses_all_that_comes()
    {
        using Link link = new(() => [Sas.Comp(XfrmMode.Transport)]);
        link.WithPolicy(AddressFamily.Inet);
        byte[] sent = Packets.Udp4(900, saddr: Sas.Left4, daddr: Sas.Right4);
        Assert.Equal(sent, link.Receive(link.Send(sent)));
        link.ReceiverSas[0].SetReplay(new ReplayState { Window = 32 });
        Assert.Null(link.Receive(link.Send(sent)));
        Assert.Equal("InStateSeqError=1", Packets.Counters(link.Receiver));
    }

    [Theory]
    [InlineData(AddressFamily.Inet)]
    [InlineData(AddressFamily.Inet6)]
    public void Ah_under_esp_in_transport_mode_is_verified_with_the_header_of_esp(ushort family)
    {
        using Link link = new(() => [Sas.Ah("hmac(sha1)", 20, 96, XfrmMode.Transport, family), Sas.Gcm(XfrmMode.Transport, family)]);
        link.WithPolicy(family);
        byte[] sent = family == AddressFamily.Inet ? Packets.Udp4(40, saddr: Sas.Left4, daddr: Sas.Right4) : Packets.Udp6(40, saddr: Sas.Left6, daddr: Sas.Right6);
        Assert.Null(link.Receive(link.Send(sent)));
        Assert.Equal("InStateProtoError=1", Packets.Counters(link.Receiver));
        Assert.Equal(1u, link.ReceiverSas[0].Stats.IntegrityFailed);
    }

    [Fact]
    public void What_comes_over_ipv6_counts_as_not_to_be_fragmented_in_udp_too()
    {
        XfrmAddress left = XfrmAddress.Parse(Sas.Left6), right = XfrmAddress.Parse(Sas.Right6);
        Assert.Equal(Ipv4View.DontFragmentBit, Arrival.Udp(AddressFamily.Inet6, left, right, 4500, 0).FragmentField);
        Assert.Equal(Ipv4View.DontFragmentBit, Arrival.Raw6(IpProtocol.Esp, left, right, 0, 64).FragmentField);
        Assert.Equal(0, Arrival.Udp(AddressFamily.Inet, left, right, 4500, 0).FragmentField);
    }

    [Theory]
    [InlineData(XfrmMode.Tunnel, "")]
    [InlineData(XfrmMode.Beet, "OutStateModeError=1")]
    public void An_ipv6_packet_that_the_device_takes_but_not_the_SA_is_counted_in_beet_mode_only(XfrmMode mode, string counters)
    {
        using Link link = new(() => [Sas.Gcm(mode, AddressFamily.Inet6)]);
        PacketSlot within = Packets.Slot(Packets.Udp6(1470 - 48)), beyond = Packets.Slot(Packets.Udp6(1600));
        Assert.Equal(OutboundVerdict.TooBig, link.Outbound.Transform(ref beyond, link.Bundle, 1));
        Assert.Equal("", Packets.Counters(link.Sender));
        Assert.Equal(OutboundVerdict.TooBig, link.Outbound.Transform(ref within, link.Bundle, 1));
        Assert.Equal(counters, Packets.Counters(link.Sender));
    }

    [Theory]
    [InlineData(AddressFamily.Inet, SaFlags.AfUnspec)]
    [InlineData(AddressFamily.Inet6, (SaFlags)0)]
    public void The_SA_behind_an_ipcomp_tunnel_has_its_flags_over_ipv4_only(ushort family, SaFlags flags)
    {
        using Link link = new(() => [Sas.Comp(XfrmMode.Tunnel, family)]);
        SecurityAssociation comp = link.ReceiverSas[0];
        byte proto = family == AddressFamily.Inet ? IpProtocol.IpIp : IpProtocol.Ipv6;
        SecurityAssociation? tunnel = link.Receiver.Sad.Lookup(0, comp.Id.Daddr, link.Receiver.Sad.TunnelSpi(comp.Saddr, family), proto, family);
        Assert.Equal(flags, tunnel!.Flags);
    }

    [Theory]
    [InlineData(AddressFamily.Inet, false, 60, "InNoStates=1")]
    [InlineData(AddressFamily.Inet6, false, 60, "InHdrError=1")]
    [InlineData(AddressFamily.Inet, false, 19, "")]
    [InlineData(AddressFamily.Inet6, false, 39, "")]
    [InlineData(AddressFamily.Inet, true, 60, null)]
    [InlineData(AddressFamily.Inet6, true, 60, null)]
    public void Plain_ip_in_ip_out_of_transport_mode_is_a_tunnel_devices_or_wants_an_SA(ushort family, bool hasDevice, int length, string? counters)
    {
        bool v4 = family == AddressFamily.Inet;
        using Link link = new(() => [Sas.Gcm(XfrmMode.Transport, family)]);
        link.WithPolicy(family);
        link.Host.HasTunnels = hasDevice;
        byte[] outer = v4 ? Packets.Udp4(0, saddr: Sas.Left4, daddr: Sas.Right4) : Packets.Udp6(0, saddr: Sas.Left6, daddr: Sas.Right6);
        byte[] sent = Packets.WithPayload(outer, new byte[length], v4 ? NextHeader.IpIp : NextHeader.Ipv6);
        Assert.Equal(counters is null ? sent : null, link.Receive(link.Send(sent)));
        Assert.Equal(counters ?? "", Packets.Counters(link.Receiver));
    }

    /// <summary>IP drops them (<c>ip6_rcv_core</c>) before policy is asked, for which there is none here.</summary>
    [Theory]
    [InlineData("2001:db8::1", "2001:db8::2", "InNoPols=1")]
    [InlineData("ff11::1", "2001:db8::2", "")]
    [InlineData("::1", "2001:db8::2", "")]
    [InlineData("2001:db8::1", "::1", "")]
    [InlineData("::2", "::100:0:0:1", "InNoPols=1")]
    [InlineData("2001:db8::1", "ff00::1", "")]
    [InlineData("2001:db8::1", "ff01::1", "")]
    [InlineData("2001:db8::1", "ff05::1", "InNoPols=1")]
    public void An_ipv6_packet_with_addresses_that_no_link_brings_is_lost_before_policy_counts_it(string saddr, string daddr, string counters)
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        Assert.Null(link.Receive(link.Send(Packets.Udp6(40, saddr: saddr, daddr: daddr))));
        Assert.Equal(counters, Packets.Counters(link.Receiver));
    }

    /// <summary>What <c>tcp_v4_rcv</c> and <c>tcp_v6_rcv</c> discard before they ask policy, for which there is none here.</summary>
    [Theory]
    [InlineData(30, 5, true, "InNoPols=1")]
    [InlineData(19, 5, true, "")]
    [InlineData(30, 4, true, "")]
    [InlineData(30, 8, true, "")]
    [InlineData(76, 5, false, "")]
    [InlineData(77, 5, false, "InNoPols=1")]
    public void A_damaged_tcp_segment_is_lost_before_policy_counts_it(int length, int words, bool isRight, string counters)
    {
        foreach (bool v4 in (bool[])[true, false])
        {
            using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
            byte[] outer = v4 ? Packets.Udp4(0) : Packets.Udp6(0), segment = new byte[length];
            (XfrmAddress saddr, XfrmAddress daddr) = Packets.Addresses(outer);
            segment[12] = (byte)(words << 4);
            int size = v4 ? 4 : 16;
            if (length > TcpView.ChecksumAt + 1)
            {
                ushort sum = InternetChecksum.Finish(InternetChecksum.Sum(segment, InternetChecksum.PseudoHeader(saddr.Bytes[..size], daddr.Bytes[..size], NextHeader.Tcp, length)));
                InternetChecksum.Write(segment.AsSpan(TcpView.ChecksumAt), isRight ? sum : (ushort)~sum);
            }
            Assert.Null(link.Receive(link.Send(Packets.WithPayload(outer, segment, NextHeader.Tcp))));
            Assert.Equal((v4, counters), (v4, Packets.Counters(link.Receiver)));
        }
    }

    [Theory]
    [InlineData(4, Sas.Right4)]
    [InlineData(8, Sas.Left4)]
    public void The_reserved_byte_of_a_beet_header_is_what_stood_there(int optionBytes, string address)
    {
        using Link link = new(() => [Sas.Authenc("ecb(cipher_null)", 0, "hmac(sha1)", 20, 96, XfrmMode.Beet, change: sa =>
        {
            sa.Selector = new XfrmSelector { Family = AddressFamily.Inet, Saddr = sa.Saddr, Daddr = sa.Id.Daddr, PrefixlenS = 32, PrefixlenD = 32 };
        })]);
        byte[] sent = link.Send(Packets.Udp4(20, options: [.. Enumerable.Repeat((byte)1, optionBytes)], saddr: Sas.Left4, daddr: Sas.Right4));
        const int PseudoHeader = Ipv4View.MinHeaderLength + EspView.HeaderLength, Reserved = 3;
        Assert.Equal(XfrmAddress.Parse(address).Bytes[3], sent[PseudoHeader + Reserved]);
    }

    [Theory]
    [InlineData(AddressFamily.Inet, 19, false)]
    [InlineData(AddressFamily.Inet, 20, true)]
    [InlineData(AddressFamily.Inet6, 39, false)]
    [InlineData(AddressFamily.Inet6, 40, true)]
    public void Esp_in_udp_is_as_long_as_an_ip_header(ushort family, int length, bool isEsp)
    {
        byte[] payload = new byte[length];
        Assert.False(UdpEncapsulation.IsEsp(payload, family));
        payload[2] = 1;
        Assert.Equal(isEsp, UdpEncapsulation.IsEsp(payload, family));
    }

    [Fact]
    public void An_ipv6_address_has_a_tunnel_number_as_long_as_an_ipcomp_tunnel_comes_from_it()
    {
        using XfrmNamespace space = new(1, new TestClock());
        SecurityAssociation first = Sas.Comp(XfrmMode.Tunnel, AddressFamily.Inet6, 0x100), second = Sas.Comp(XfrmMode.Tunnel, AddressFamily.Inet6, 0x101);
        lock (space.Gate)
        {
            foreach (SecurityAssociation sa in (SecurityAssociation[])[first, second])
            {
                Assert.True(space.Sad.Add(sa).IsOk);
            }
            Assert.Equal(1u, space.Sad.TunnelSpi(first.Saddr, AddressFamily.Inet6).Value);
            space.Sad.Delete(first);
            Assert.Equal(1u, space.Sad.TunnelSpi(first.Saddr, AddressFamily.Inet6).Value);
            space.Sad.Delete(second);
            Assert.Equal(0u, space.Sad.TunnelSpi(first.Saddr, AddressFamily.Inet6).Value);
        }
    }

    [Fact]
    public void A_later_fragment_for_this_host_is_checked_with_the_first_one()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        lock (link.Receiver.Gate)
        {
            PolicyTemplate template = new() { Family = AddressFamily.Inet, ModeByte = (byte)XfrmMode.Tunnel, Aalgos = uint.MaxValue, Ealgos = uint.MaxValue, Calgos = uint.MaxValue };
            template.Id.Proto = IpProtocol.Esp;
            XfrmSelector port = new() { Family = AddressFamily.Inet, Proto = NextHeader.Udp, Dport = Be16.From(2222), DportMask = Be16.From(ushort.MaxValue) };
            foreach (PolicyDirection direction in (PolicyDirection[])[PolicyDirection.In, PolicyDirection.Fwd])
            {
                link.Receiver.Spd.Insert(new Policy { Selector = port, Direction = direction, TemplateArray = [template] }, exclusive: true);
            }
        }
        byte[] whole = Packets.Udp4(2000);
        OutboundFragments fragments = new(whole, 1000, new IpIdentifiers());
        byte[] buffer = new byte[1000];
        for (int n = 0; fragments.TryNext(buffer, out int length); n++)
        {
            Assert.Equal(buffer[..length], link.Receive(link.Send(buffer[..length])));
        }
        Assert.Equal("", Packets.Counters(link.Receiver));
        // On its way to others no fragment has ports.
        link.Host.Local = static _ => false;
        fragments = new(whole, 1000, new IpIdentifiers());
        Assert.True(fragments.TryNext(buffer, out int first));
        Assert.Null(link.Receive(link.Send(buffer[..first])));
        Assert.Equal("InNoPols=1", Packets.Counters(link.Receiver));
    }

    [Theory]
    [InlineData(SaFlags.AfUnspec, null, "InTmplMismatch=1")]
    [InlineData(SaFlags.AfUnspec | SaFlags.Icmp, null, "InTmplMismatch=1,InNoPols=1")]
    [InlineData(SaFlags.AfUnspec | SaFlags.Icmp, "10.2.0.0", "InTmplMismatch=1")]
    public void Icmp_that_is_refused_is_looked_at_as_what_it_quotes(SaFlags flags, string? quotedSource, string counters)
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel, change: sa => sa.Flags = flags)]);
        lock (link.Receiver.Gate)
        {
            PolicyTemplate fits = new() { Family = AddressFamily.Inet, ModeByte = (byte)XfrmMode.Tunnel, Aalgos = uint.MaxValue, Ealgos = uint.MaxValue, Calgos = uint.MaxValue };
            fits.Id.Proto = IpProtocol.Esp;
            XfrmSelector router = new() { Family = AddressFamily.Inet, Saddr = XfrmAddress.Parse("10.9.0.0"), PrefixlenS = 16 };
            link.Receiver.Spd.Insert(new Policy { Selector = router, Direction = PolicyDirection.In, TemplateArray = [fits with { Reqid = 77 }] }, exclusive: true);
            if (quotedSource is not null)
            {
                XfrmSelector quoted = new() { Family = AddressFamily.Inet, Saddr = XfrmAddress.Parse(quotedSource), PrefixlenS = 16 };
                link.Receiver.Spd.Insert(new Policy { Selector = quoted, Direction = PolicyDirection.In, TemplateArray = [fits] }, exclusive: true);
            }
        }
        // A router behind the peer says that a packet of ours could not be delivered.
        byte[] sent = Packets.Udp4(20, saddr: "10.1.0.1", daddr: "10.2.0.1"), error = new byte[8 + sent.Length];
        error[0] = 3;
        sent.CopyTo(error, 8);
        InternetChecksum.Write(error.AsSpan(2), InternetChecksum.Finish(InternetChecksum.Sum(error)));
        byte[] icmp = Packets.WithPayload(Packets.Udp4(0, saddr: "10.9.0.1", daddr: "10.1.0.1"), error, NextHeader.Icmp);
        Assert.Equal(quotedSource is null ? null : icmp, link.Receive(link.Send(icmp)));
        Assert.Equal(counters, Packets.Counters(link.Receiver));
    }
}
