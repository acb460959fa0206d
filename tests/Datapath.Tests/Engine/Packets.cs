using System.Buffers.Binary;
using System.Net;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests.Engine;

/// <summary>Inner packets, and what an independent reader says of them.</summary>
internal static class Packets
{
    public const byte Ack = 0x10, Psh = 0x08, Fin = 0x01, Cwr = 0x80;

    public static byte[] Payload(int length, int seed = 1) => [.. Enumerable.Range(0, length).Select(i => (byte)((i * 31) + seed))];

    /// <summary>A TCP segment with a timestamp option, as large as one likes; checksums complete unless <paramref name="partial"/>.</summary>
    public static byte[] Tcp(string source, string destination, uint sequence, ReadOnlySpan<byte> payload, byte flags = Ack, ushort sport = 1000, ushort id = 100, bool partial = false, bool dontFragment = true)
    {
        const int Options = 12;
        byte[] tcp = new byte[20 + Options + payload.Length];
        BinaryPrimitives.WriteUInt16BigEndian(tcp, sport);
        BinaryPrimitives.WriteUInt16BigEndian(tcp.AsSpan(2), 80);
        BinaryPrimitives.WriteUInt32BigEndian(tcp.AsSpan(4), sequence);
        BinaryPrimitives.WriteUInt32BigEndian(tcp.AsSpan(8), 777);
        tcp[12] = (20 + Options) / 4 << 4;
        tcp[13] = flags;
        BinaryPrimitives.WriteUInt16BigEndian(tcp.AsSpan(14), 500);
        tcp[20] = tcp[21] = 1;
        tcp[22] = 8;
        tcp[23] = 10;
        payload.CopyTo(tcp.AsSpan(20 + Options));
        return Wrap(source, destination, NextHeader.Tcp, tcp, TcpView.ChecksumAt, id, partial, dontFragment);
    }

    public static byte[] Udp(string source, string destination, ReadOnlySpan<byte> payload, ushort sport = 1000, ushort id = 100, bool partial = false, bool dontFragment = true)
    {
        byte[] udp = new byte[8 + payload.Length];
        UdpView.Write(udp, sport, 53, udp.Length);
        payload.CopyTo(udp.AsSpan(8));
        return Wrap(source, destination, NextHeader.Udp, udp, UdpView.ChecksumAt, id, partial, dontFragment);
    }

    /// <summary>Header length of the packets above: network and transport.</summary>
    public static int HeaderLength(ReadOnlySpan<byte> packet)
    {
        int network = packet[0] >> 4 == 4 ? 20 : 40;
        byte protocol = packet[0] >> 4 == 4 ? packet[9] : packet[6];
        return network + (protocol == NextHeader.Tcp ? (packet[network + 12] >> 4) * 4 : 8);
    }

    public static VnetHeader Gso(ReadOnlySpan<byte> packet, int size)
    {
        int network = packet[0] >> 4 == 4 ? 20 : 40;
        bool tcp = (packet[0] >> 4 == 4 ? packet[9] : packet[6]) == NextHeader.Tcp;
        return new VnetHeader
        {
            Flags = VnetHeader.NeedsChecksum,
            GsoType = !tcp ? VnetHeader.GsoUdp : network == 20 ? VnetHeader.GsoTcpV4 : VnetHeader.GsoTcpV6,
            HeaderLength = (ushort)HeaderLength(packet),
            GsoSize = (ushort)size,
            ChecksumStart = (ushort)network,
            ChecksumOffset = (ushort)(tcp ? TcpView.ChecksumAt : UdpView.ChecksumAt),
        };
    }

    /// <summary>Lengths and checksums are those that a receiver demands: computed here byte by byte, without the code under test.</summary>
    public static void AssertSound(ReadOnlySpan<byte> packet)
    {
        bool v4 = packet[0] >> 4 == 4;
        int network = v4 ? 20 : 40;
        Assert.Equal(packet.Length, v4 ? (packet[2] << 8) | packet[3] : 40 + ((packet[4] << 8) | packet[5]));
        if (v4)
        {
            Assert.Equal(0xFFFF, SlowSum(packet[..20], 0));
        }
        byte protocol = v4 ? packet[9] : packet[6];
        int pseudo = SlowSum(v4 ? packet.Slice(12, 8) : packet.Slice(8, 32), protocol + packet.Length - network);
        if (protocol == NextHeader.Udp)
        {
            Assert.Equal(packet.Length - network, (packet[network + 4] << 8) | packet[network + 5]);
        }
        Assert.Equal(0xFFFF, SlowSum(packet[network..], pseudo));
    }

    /// <summary>Cuts what the engine wrote into packets as the kernel would (its own segmentation, written anew here).</summary>
    public static List<byte[]> Segments(VnetHeader header, byte[] packet)
    {
        if (header.GsoType == VnetHeader.GsoNone)
        {
            return [packet];
        }
        bool v4 = packet[0] >> 4 == 4;
        int network = v4 ? 20 : 40, start = HeaderLength(packet);
        List<byte[]> segments = [];
        for (int at = start, index = 0; at < packet.Length; at += header.GsoSize, index++)
        {
            int length = Math.Min(header.GsoSize, packet.Length - at);
            byte[] segment = [.. packet.AsSpan(0, start), .. packet.AsSpan(at, length)];
            bool isTcp = header.GsoType != VnetHeader.GsoUdp, isLast = at + length == packet.Length;
            if (v4)
            {
                BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(2), (ushort)segment.Length);
                BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(4), (ushort)(BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(4)) + index));
            }
            else
            {
                BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(4), (ushort)(segment.Length - 40));
            }
            if (isTcp)
            {
                BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(network + 4), BinaryPrimitives.ReadUInt32BigEndian(packet.AsSpan(network + 4)) + (uint)(at - start));
                segment[network + 13] &= (byte)(isLast ? 0xFF : 0xF6);
            }
            else
            {
                BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(network + 4), (ushort)(segment.Length - network));
            }
            segments.Add(segment);
        }
        return segments;
    }

    /// <summary>All bytes but those that segmentation makes anew: IPv4 and transport checksums, and the identification where DF makes it idle (RFC 6864).</summary>
    public static byte[] WithoutChecksums(byte[] packet)
    {
        byte[] copy = [.. packet];
        bool v4 = copy[0] >> 4 == 4;
        int network = v4 ? 20 : 40;
        if (v4)
        {
            copy[10] = copy[11] = 0;
            if ((copy[6] & 0x40) != 0)
            {
                copy[4] = copy[5] = 0;
            }
        }
        int at = network + ((v4 ? copy[9] : copy[6]) == NextHeader.Tcp ? 16 : 6);
        copy[at] = copy[at + 1] = 0;
        return copy;
    }

    private static byte[] Wrap(string source, string destination, byte protocol, byte[] transport, int checksumAt, ushort id, bool partial, bool dontFragment)
    {
        byte[] saddr = IPAddress.Parse(source).GetAddressBytes(), daddr = IPAddress.Parse(destination).GetAddressBytes();
        byte[] header;
        if (saddr.Length == 4)
        {
            header = new byte[20];
            Ipv4View.Write(header, 0, id, dontFragment ? Ipv4View.DontFragmentBit : (ushort)0, 64, saddr, daddr);
            Ipv4View.Complete(header, 20 + transport.Length, protocol);
        }
        else
        {
            header = new byte[40];
            Ipv6View.Write(header, 0, 0, protocol, 64, saddr, daddr);
            Ipv6View.Complete(header, 40 + transport.Length);
        }
        int pseudo = SlowSum([.. saddr, .. daddr], protocol + transport.Length);
        int sum = partial ? pseudo : 0xFFFF - SlowSum(transport, pseudo);
        BinaryPrimitives.WriteUInt16BigEndian(transport.AsSpan(checksumAt), (ushort)(sum == 0 && !partial && protocol == NextHeader.Udp ? 0xFFFF : sum));
        return [.. header, .. transport];
    }

    private static int SlowSum(ReadOnlySpan<byte> bytes, int sum)
    {
        for (int i = 0; i < bytes.Length; i += 2)
        {
            sum += (bytes[i] << 8) | (i + 1 < bytes.Length ? bytes[i + 1] : 0);
        }
        while (sum > 0xFFFF)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        return sum;
    }
}
