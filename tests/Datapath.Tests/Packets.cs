using System.Buffers.Binary;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests;

/// <summary>Packets in tests.</summary>
internal static class Packets
{
    private const ushort Sport = 1111, Dport = 2222;

    /// <summary>A slot with plenty of room around a copy of the packet.</summary>
    public static PacketSlot Slot(ReadOnlySpan<byte> packet)
    {
        const int Before = 512, Behind = 2048;
        byte[] buffer = new byte[Before + packet.Length + Behind];
        packet.CopyTo(buffer.AsSpan(Before));
        return new PacketSlot(buffer, Before, packet.Length, 0, buffer.Length);
    }

    /// <summary>A UDP packet with good checksums.</summary>
    /// <param name="length">Payload bytes.</param>
    /// <param name="tos">TOS.</param>
    /// <param name="df">Don't fragment.</param>
    /// <param name="options">IPv4 options, a multiple of 4.</param>
    /// <param name="saddr">Source.</param>
    /// <param name="daddr">Destination.</param>
    public static byte[] Udp4(int length, byte tos = 0, bool df = false, byte[]? options = null, string saddr = "10.1.0.1", string daddr = "10.2.0.1")
    {
        options ??= [];
        int header = Ipv4View.MinHeaderLength + options.Length;
        byte[] packet = new byte[header + UdpView.HeaderLength + length];
        Ipv4View.Write(packet, tos, 0x1234, df ? Ipv4View.DontFragmentBit : (ushort)0, 64, XfrmAddress.Parse(saddr).Bytes, XfrmAddress.Parse(daddr).Bytes);
        packet[0] = (byte)(0x40 | (header / 4));
        options.CopyTo(packet.AsSpan(Ipv4View.MinHeaderLength));
        Ipv4View.Complete(packet, packet.Length, NextHeader.Udp);
        PutUdp(packet.AsSpan(header), packet.AsSpan(12, 4), packet.AsSpan(16, 4));
        return packet;
    }

    /// <summary>A UDP packet over IPv6 with good checksums.</summary>
    /// <param name="length">Payload bytes.</param>
    /// <param name="trafficClass">Traffic class.</param>
    /// <param name="extensions">Extension headers; the first byte of each is filled in.</param>
    /// <param name="saddr">Source.</param>
    /// <param name="daddr">Destination.</param>
    public static byte[] Udp6(int length, byte trafficClass = 0, (byte Type, byte[] Bytes)[]? extensions = null, string saddr = "2001:db8:a::1", string daddr = "2001:db8:b::1")
    {
        extensions ??= [];
        List<byte> headers = [];
        for (int i = 0; i < extensions.Length; i++)
        {
            byte[] bytes = [.. extensions[i].Bytes];
            bytes[0] = i + 1 < extensions.Length ? extensions[i + 1].Type : NextHeader.Udp;
            headers.AddRange(bytes);
        }
        byte[] packet = [.. new byte[Ipv6View.HeaderLength], .. headers, .. new byte[UdpView.HeaderLength + length]];
        byte next = extensions.Length > 0 ? extensions[0].Type : NextHeader.Udp;
        Ipv6View.Write(packet, trafficClass, 0x12345, next, 64, XfrmAddress.Parse(saddr).Bytes, XfrmAddress.Parse(daddr).Bytes);
        Ipv6View.Complete(packet, packet.Length);
        PutUdp(packet.AsSpan(Ipv6View.HeaderLength + headers.Count), packet.AsSpan(8, 16), packet.AsSpan(24, 16));
        return packet;
    }

    /// <summary>The UDP checksum of a packet without extension headers is right.</summary>
    public static bool HasGoodUdp(Span<byte> packet)
    {
        if (Ipv4View.TryParse(packet, out Ipv4View ip))
        {
            return InternetChecksum.Verifies(ip.Payload, InternetChecksum.PseudoHeader(ip.Saddr, ip.Daddr, NextHeader.Udp, ip.Payload.Length));
        }
        return Ipv6View.TryParse(packet, out Ipv6View ip6)
            && InternetChecksum.Verifies(ip6.Payload, InternetChecksum.PseudoHeader(ip6.Saddr, ip6.Daddr, NextHeader.Udp, ip6.Payload.Length));
    }

    public static (XfrmAddress Saddr, XfrmAddress Daddr) Addresses(byte[] packet) => packet[0] >> 4 == 4
        ? (new XfrmAddress(packet.AsSpan(12, 4)), new XfrmAddress(packet.AsSpan(16, 4)))
        : (new XfrmAddress(packet.AsSpan(8, 16)), new XfrmAddress(packet.AsSpan(24, 16)));

    /// <summary>The packet with another payload behind its headers.</summary>
    public static byte[] WithPayload(byte[] packet, byte[] payload, byte protocol)
    {
        if (packet[0] >> 4 == 4)
        {
            byte[] ip = [.. packet[..((packet[0] & 15) * 4)], .. payload];
            Ipv4View.Complete(ip, ip.Length, protocol);
            return ip;
        }
        Assert.True(Ipv6Extensions.TryFindFragmentable(packet, out int offset, out int nextHeaderAt));
        byte[] ip6 = [.. packet[..offset], .. payload];
        ip6[nextHeaderAt] = protocol;
        Ipv6View.Complete(ip6, ip6.Length);
        return ip6;
    }

    /// <summary>The counters that moved, for messages.</summary>
    public static string Counters(XfrmNamespace space) =>
        string.Join(',', Enum.GetValues<XfrmCounter>().Where(c => space.Statistics[c] != 0).Select(c => $"{c}={space.Statistics[c]}"));

    private static void PutUdp(Span<byte> datagram, ReadOnlySpan<byte> saddr, ReadOnlySpan<byte> daddr)
    {
        BinaryPrimitives.WriteUInt16BigEndian(datagram, Sport);
        UdpView.Write(datagram, Sport, Dport, datagram.Length);
        for (int i = UdpView.HeaderLength; i < datagram.Length; i++)
        {
            datagram[i] = (byte)(i * 3);
        }
        UdpView.Seal(datagram, InternetChecksum.PseudoHeader(saddr, daddr, NextHeader.Udp, datagram.Length));
    }
}
