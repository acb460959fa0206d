using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests;

/// <summary>What policy let pass is remembered for a moment: nobody must be able to tell.</summary>
public sealed class AllowedFlowTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_next_packet_meets_the_policies_of_its_own_moment(bool isLocal)
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        link.WithPolicy(AddressFamily.Inet);
        link.Host.Local = _ => isLocal;
        byte[] sent = Packets.Udp4(900);
        Assert.Equal(sent, link.Receive(link.Send(sent)));
        Assert.Equal(sent, link.Receive(link.Send(sent), out InboundResult result));
        Assert.Equal(isLocal ? PolicyDirection.In : PolicyDirection.Fwd, result.Direction);
        lock (link.Receiver.Gate)
        {
            link.Receiver.Spd.Flush(PolicyType.Main);
        }
        Assert.Null(link.Receive(link.Send(sent)));
        Assert.Equal("InNoPols=1", Packets.Counters(link.Receiver));
    }

    [Fact]
    public void What_is_no_longer_for_this_host_meets_the_other_policies()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        link.WithPolicy(AddressFamily.Inet);
        byte[] sent = Packets.Udp4(900);
        Assert.Equal(sent, link.Receive(link.Send(sent)));
        lock (link.Receiver.Gate)
        {
            Assert.True(link.Receiver.Spd.Delete(link.Receiver.Spd.Ordered(PolicyDirection.Fwd)[0]));
        }
        Assert.Equal(sent, link.Receive(link.Send(sent)));
        link.Host.Local = static _ => false;
        Assert.Null(link.Receive(link.Send(sent)));
        Assert.Equal("InNoPols=1", Packets.Counters(link.Receiver));
    }

    [Fact]
    public void Another_sa_is_judged_by_itself()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]), narrow = new(() => [Sas.Gcm(XfrmMode.Tunnel, spi: 0x2000)]);
        link.WithPolicy(AddressFamily.Inet);
        SecurityAssociation other = Sas.Gcm(XfrmMode.Tunnel, spi: 0x2000, change: static sa => sa.Selector = new XfrmSelector
        {
            Family = AddressFamily.Inet,
            Daddr = XfrmAddress.Parse("10.9.0.0"),
            PrefixlenD = 16,
        });
        lock (link.Receiver.Gate)
        {
            Assert.True(link.Receiver.Sad.Add(other).IsOk);
        }
        byte[] sent = Packets.Udp4(900);
        Assert.Equal(sent, link.Receive(link.Send(sent)));
        Assert.Null(link.Receive(narrow.Send(sent)));
        Assert.Equal("InStateMismatch=1", Packets.Counters(link.Receiver));
    }

    [Fact]
    public void A_fragment_is_not_taken_for_its_datagram()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        PolicyTemplate template = new() { Family = AddressFamily.Inet, ModeByte = (byte)XfrmMode.Tunnel, Aalgos = uint.MaxValue, Ealgos = uint.MaxValue, Calgos = uint.MaxValue };
        template.Id.Proto = IpProtocol.Esp;
        XfrmSelector port = new() { Family = AddressFamily.Inet, Proto = NextHeader.Udp, Dport = Be16.From(2222), DportMask = Be16.From(ushort.MaxValue) };
        lock (link.Receiver.Gate)
        {
            link.Receiver.Spd.Insert(new Policy { Selector = port, Direction = PolicyDirection.Fwd, TemplateArray = [template] }, exclusive: true);
        }
        link.Host.Local = static _ => false;
        byte[] whole = Packets.Udp4(900), buffer = new byte[500];
        Assert.Equal(whole, link.Receive(link.Send(whole)));
        OutboundFragments fragments = new(whole, buffer.Length, new IpIdentifiers());
        Assert.True(fragments.TryNext(buffer, out int first));
        Assert.Null(link.Receive(link.Send(buffer[..first])));
        Assert.Equal("InNoPols=1", Packets.Counters(link.Receiver));
    }

    [Fact]
    public void A_policy_is_marked_as_used_in_every_second_in_which_it_is()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        link.WithPolicy(AddressFamily.Inet);
        Policy policy = link.Receiver.Spd.Ordered(PolicyDirection.In)[0];
        byte[] sent = Packets.Udp4(900);
        for (int i = 0; i < 6; i++)
        {
            Assert.Equal(sent, link.Receive(link.Send(sent)));
            Assert.Equal(link.Clock.Seconds, policy.UseTime);
            link.Clock.Advance(TimeSpan.FromMilliseconds(500));
        }
    }

    [Fact]
    public void A_short_datagram_with_a_wrong_checksum_stays_lost()
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        link.WithPolicy(AddressFamily.Inet);
        byte[] good = Packets.Udp4(20), bad = [.. good];
        bad[^1] ^= 1;
        Assert.Equal(good, link.Receive(link.Send(good)));
        Assert.Null(link.Receive(link.Send(bad)));
        Assert.Equal(good, link.Receive(link.Send(good)));
        Assert.Equal("", Packets.Counters(link.Receiver));
    }
}
