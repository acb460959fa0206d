using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests;

public sealed class FlowDecoderTests
{
    private static Flow Back(byte protocol, byte[] payload) => Decode(Packets.WithPayload(Packets.Udp4(0), payload, protocol)).Reversed();

    private static Flow Decode(byte[] packet)
    {
        Assert.True(FlowDecoder.TryDecode(packet, 7, 3, 9, out Flow flow));
        Assert.Equal((7u, 3, 9u), (flow.Mark, flow.Oif, flow.IfId));
        return flow;
    }

    [Fact]
    public void Udp_has_ports_over_both_families()
    {
        Flow four = Decode(Packets.Udp4(10, options: [1, 1, 1, 0])), six = Decode(Packets.Udp6(10, 0, [(NextHeader.HopByHop, [0, 0, 1, 4, 0, 0, 0, 0])]));
        Assert.Equal((IpProtocol.Udp, 1111, 2222, AddressFamily.Inet), (four.Proto, four.Sport, four.Dport, four.Family));
        Assert.Equal((IpProtocol.Udp, 1111, 2222, AddressFamily.Inet6), (six.Proto, six.Sport, six.Dport, six.Family));
        Assert.Equal(XfrmAddress.Parse("10.2.0.1"), four.Daddr);
        Assert.Equal(XfrmAddress.Parse("2001:db8:a::1"), six.Saddr);
    }

    [Fact]
    public void Fragments_have_a_protocol_and_no_ports()
    {
        byte[] packet = Packets.Udp4(10);
        packet[6] = 0x20;
        Assert.Equal((IpProtocol.Udp, 0, 0), (Decode(packet).Proto, Decode(packet).Sport, Decode(packet).Dport));
        byte[] packet6 = Packets.Udp6(10, 0, [(NextHeader.Fragment, [0, 0, 0, 1, 0, 0, 0, 1])]);
        Assert.Equal((IpProtocol.Udp, 0, 0), (Decode(packet6).Proto, Decode(packet6).Sport, Decode(packet6).Dport));
    }

    [Fact]
    public void Icmp_has_type_and_code_and_gre_its_key()
    {
        byte[] icmp = Packets.WithPayload(Packets.Udp4(0), [8, 3, 0, 0, 0, 0, 0, 0], NextHeader.Icmp);
        Assert.Equal((8, 3), (Decode(icmp).Sport, Decode(icmp).Dport));
        byte[] gre = Packets.WithPayload(Packets.Udp4(0), [0x20, 0, 8, 0, 0x12, 0x34, 0x56, 0x78], NextHeader.Gre);
        Assert.Equal((0x1234, 0x5678), (Decode(gre).Sport, Decode(gre).Dport));
    }

    [Theory]
    [InlineData(NextHeader.Esp)]
    [InlineData(33)]     // DCCP
    [InlineData(NextHeader.Mobility)]
    public void All_other_protocols_have_no_ports(byte protocol)
    {
        Flow flow = Decode(Packets.WithPayload(Packets.Udp4(0), [1, 2, 3, 4, 5, 6, 7, 8], protocol));
        Assert.Equal((protocol, 0, 0), (flow.Proto, flow.Sport, flow.Dport));
    }

    [Fact]
    public void The_way_back_exchanges_addresses_and_ports_but_no_types_and_keys()
    {
        Flow udp = Decode(Packets.Udp4(10)), back = udp.Reversed();
        Assert.Equal((udp.Daddr, udp.Saddr, 2222, 1111), (back.Saddr, back.Daddr, back.Sport, back.Dport));
        Assert.Equal((8, 3), (Back(NextHeader.Icmp, [8, 3, 0, 0, 0, 0, 0, 0]).Sport, Back(NextHeader.Icmp, [8, 3, 0, 0, 0, 0, 0, 0]).Dport));
        Assert.Equal(0x1234, Back(NextHeader.Gre, [0x20, 0, 8, 0, 0x12, 0x34, 0x56, 0x78]).Sport);
    }

    [Fact]
    public void An_icmp_error_has_the_flow_of_what_it_is_about()
    {
        byte[] packet = Packets.Udp4(100, df: true), message = new byte[IcmpErrors.MaxLength];
        byte[] error = message[..IcmpErrors.TooBig(packet, 50, XfrmAddress.Parse("10.9.0.1").Bytes[..4], message)];
        Flow flow = Decode(error);
        Assert.True(FlowDecoder.TryDecodeEmbedded(error, flow, out Flow quoted));
        Assert.Equal(Decode(packet).Reversed(), quoted);
        Assert.False(FlowDecoder.TryDecodeEmbedded(packet, Decode(packet), out _));

        byte[] packet6 = Packets.Udp6(100);
        byte[] error6 = message[..IcmpErrors.TooBig(packet6, 1280, XfrmAddress.Parse("2001:db8::9").Bytes, message)];
        Assert.True(FlowDecoder.TryDecodeEmbedded(error6, Decode(error6), out quoted));
        Assert.Equal(Decode(packet6).Reversed(), quoted);
    }
}
