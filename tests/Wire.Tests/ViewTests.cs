namespace Xfrmd.Wire.Tests;

public sealed class ViewTests
{
    private static readonly byte[] Ipv4 = Convert.FromHexString(
        "45" + "b8" + "0024" +        // version, header length; TOS; total length
        "1234" + "6001" +             // identification; DF, MF, offset 1
        "40" + "11" + "0000" +        // TTL, protocol, checksum
        "c0a80101" + "c0a80201" +     // addresses
        "045708ae0010000001040a0d");  // UDP

    private static readonly byte[] Ipv6 = Convert.FromHexString(
        "6b812345" + "0020" + "00" + "3f" +                                            // class b8, label 12345; length; hop-by-hop; hop limit
        "20010db8000000000000000000000001" + "20010db8000000000000000000000002" +
        "2c00050200000100" +                                                           // hop-by-hop, router alert
        "1100000100000007" +                                                           // first fragment of 7
        "045708ae00100000" + "0102030405060708");

    [Fact]
    public void An_ipv4_header_reads_as_it_lies()
    {
        Assert.True(Ipv4View.TryParse([.. Ipv4, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee], out Ipv4View ip));
        Assert.Equal((0xb8, 36, 0x1234, 64, 17), (ip.Tos, ip.TotalLength, ip.Id, ip.Ttl, ip.Protocol));
        Assert.True(ip.DontFragment && ip.IsFragment);
        Assert.Equal(36, ip.Bytes.Length);
        Assert.Equal(new byte[] { 192, 168, 2, 1 }, ip.Daddr);
        Assert.True(ip.Options.IsEmpty);
    }

    [Fact]
    public void An_ipv4_header_is_written_with_its_checksum()
    {
        byte[] header = new byte[20];
        Ipv4View.WriteWhole(header, 0xb8, 36, 0x1234, 0x6001, 64, 17, [192, 168, 1, 1], [192, 168, 2, 1]);
        Assert.Equal(Ipv4[..10], header[..10]);
        Assert.Equal(Ipv4[12..20], header[12..]);
        Random random = new(7);
        byte[] saddr = new byte[4], daddr = new byte[4];
        for (int i = 0; i < 10_000; i++)
        {
            random.NextBytes(saddr);
            random.NextBytes(daddr);
            Ipv4View.WriteWhole(header, (byte)random.Next(256), random.Next(65536), (ushort)random.Next(65536), (ushort)random.Next(65536), (byte)random.Next(256), (byte)random.Next(256), saddr, daddr);
            byte[] written = [.. header];
            Ipv4View.Seal(header);
            Assert.Equal(header, written);
        }
    }

    [Fact]
    public void An_ipv6_header_reads_as_it_lies()
    {
        Assert.True(Ipv6View.TryParse(Ipv6, out Ipv6View ip));
        Assert.Equal((0xb8, 0x12345u, 32, 0, 63), (ip.TrafficClass, ip.FlowLabel, ip.PayloadLength, ip.NextHeader, ip.HopLimit));
        Assert.True(Ipv6Extensions.TryFindFragmentable(ip.Bytes, out int offset, out int at));
        Assert.Equal((48, 40), (offset, at));
        Assert.True(Ipv6Extensions.TryFindUpper(ip.Bytes, out byte protocol, out offset, out at, out int fragment));
        Assert.Equal((17, 56, 48, 1), (protocol, offset, at, fragment));
        Assert.True(UdpView.TryParse(ip.Bytes[offset..], out UdpView udp));
        Assert.Equal((1111, 2222, 16), (udp.Sport, udp.Dport, udp.Length));
        ip.ChangeTrafficClass(0x03);
        Assert.Equal((0x03, 0x12345u), (ip.TrafficClass, ip.FlowLabel));
    }

    [Fact]
    public void Destination_options_belong_inside_only_after_a_routing_header()
    {
        byte[] packet = [.. Ipv6[..40], .. new byte[24]];
        Ipv6View.Complete(packet, packet.Length);
        (packet[6], packet[40], packet[48], packet[56]) = (NextHeader.Destination, NextHeader.Routing, NextHeader.Destination, NextHeader.Tcp);
        Assert.True(Ipv6Extensions.TryFindFragmentable(packet, out int offset, out int at));
        Assert.Equal((56, 48), (offset, at));
    }

    [Fact]
    public void What_is_cut_short_is_refused()
    {
        for (int length = 0; length < Ipv4.Length; length++)
        {
            Assert.False(Ipv4View.TryParse(Ipv4.AsSpan(0, length), out _));
        }
        for (int length = 0; length < Ipv6.Length; length++)
        {
            Assert.False(Ipv6View.TryParse(Ipv6.AsSpan(0, length), out _));
        }
        Assert.False(Ipv4View.TryParse([0x44, .. Ipv4[1..]], out _));
        Assert.False(Ipv4View.TryParse([0x4f, .. Ipv4[1..]], out _));
        Assert.False(EspView.TryParse(new byte[7], out _));
        Assert.False(AhView.TryParse(new byte[11], out _));
        Assert.False(IpCompView.TryParse(new byte[3], out _));
        Assert.False(UdpView.TryParse(new byte[8], out _));
        Assert.False(TcpView.TryParse(new byte[20], out _));
        Assert.False(IcmpView.TryParse(new byte[7], out _));
    }

    [Fact]
    public void No_bytes_make_anything_throw()
    {
        Random random = new(4);
        for (int i = 0; i < 50_000; i++)
        {
            byte[] bytes = new byte[random.Next(100)];
            random.NextBytes(bytes);
            if (bytes.Length > 6)
            {
                bytes[0] = (byte)(random.Next(2) == 0 ? 0x40 | (bytes[0] & 15) : 0x60);
                (bytes[2], bytes[4], bytes[5]) = (0, 0, (byte)random.Next(70));
                bytes[6] = (byte)random.Next(64);
            }
            if (Ipv4View.TryParse(bytes, out Ipv4View ip))
            {
                _ = ip.Options.Length + ip.Payload.Length;
                ip.ChangeTos(1);
            }
            if (Ipv6View.TryParse(bytes, out Ipv6View ip6))
            {
                if (Ipv6Extensions.TryFindFragmentable(ip6.Bytes, out int offset, out int at))
                {
                    Assert.InRange(offset, 40, ip6.Bytes.Length);
                    Assert.InRange(at, 6, offset - 1);
                }
                if (Ipv6Extensions.TryFindUpper(ip6.Bytes, out _, out offset, out at, out _))
                {
                    Assert.InRange(offset, 40, ip6.Bytes.Length);
                }
            }
            _ = TcpView.TryParse(bytes, out TcpView tcp) && tcp.Payload.Length >= 0;
            _ = UdpView.TryParse(bytes, out UdpView udp) && udp.Payload.Length >= 0;
        }
    }
}
