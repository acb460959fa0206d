using System.Buffers.Binary;
using Xfrmd.Datapath.Engine;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Tests.Engine;

public class SegmentReaderTests
{
    [Theory]
    [InlineData("10.1.0.1", "10.2.0.1")]
    [InlineData("fd01::1", "fd02::1")]
    public void A_large_tcp_packet_becomes_segments_that_a_receiver_accepts(string source, string destination)
    {
        byte[] payload = Packets.Payload(60000);
        byte[] packet = Packets.Tcp(source, destination, 0xFFFFF000, payload, Packets.Ack | Packets.Psh | Packets.Fin | Packets.Cwr, partial: true);
        List<byte[]> segments = Read(packet, 1390);

        Assert.Equal((60000 + 1389) / 1390, segments.Count);
        int network = source.Contains(':') ? 40 : 20, header = network + 32;
        uint expected = 0xFFFFF000;
        for (int i = 0; i < segments.Count; i++)
        {
            Packets.AssertSound(segments[i]);
            byte flags = segments[i][network + 13];
            Assert.Equal(expected, BinaryPrimitives.ReadUInt32BigEndian(segments[i].AsSpan(network + 4)));
            Assert.Equal(i == segments.Count - 1, (flags & (Packets.Psh | Packets.Fin)) == (Packets.Psh | Packets.Fin));
            Assert.Equal(i == 0, (flags & Packets.Cwr) != 0);
            if (network == 20)
            {
                Assert.Equal(100 + i, BinaryPrimitives.ReadUInt16BigEndian(segments[i].AsSpan(4)));
            }
            expected += (uint)(segments[i].Length - header);
        }
        Assert.Equal(payload, segments.SelectMany(s => s[header..]));
    }

    [Theory]
    [InlineData("10.1.0.1", "10.2.0.1")]
    [InlineData("fd01::1", "fd02::1")]
    public void A_large_udp_packet_becomes_datagrams(string source, string destination)
    {
        byte[] payload = Packets.Payload(10_001);
        List<byte[]> segments = Read(Packets.Udp(source, destination, payload, partial: true), 1000);

        Assert.Equal(11, segments.Count);
        segments.ForEach(s => Packets.AssertSound(s));
        int header = source.Contains(':') ? 48 : 28;
        Assert.Equal(payload, segments.SelectMany(s => s[header..]));
    }

    [Fact]
    public void No_header_makes_it_throw()
    {
        byte[] packet = Packets.Tcp("10.1.0.1", "10.2.0.1", 1, Packets.Payload(5000), partial: true);
        VnetHeader good = Packets.Gso(packet, 1000);
        byte[] destination = new byte[65536];
        for (int start = 0; start < 80; start++)
        {
            for (int length = 0; length <= 120; length++)
            {
                foreach (byte kind in (byte[])[VnetHeader.GsoTcpV4, VnetHeader.GsoTcpV6, VnetHeader.GsoUdp, 77])
                {
                    VnetHeader header = good with { ChecksumStart = (ushort)start, GsoType = kind };
                    if (SegmentReader.TryOpen(packet.AsSpan(0, length), header, out SegmentReader reader))
                    {
                        while (!reader.IsAtEnd)
                        {
                            reader.Next(destination);
                        }
                    }
                }
            }
        }
    }

    private static List<byte[]> Read(byte[] packet, int size)
    {
        Assert.True(SegmentReader.TryOpen(packet, Packets.Gso(packet, size), out SegmentReader reader));
        List<byte[]> segments = [];
        byte[] buffer = new byte[65536];
        while (!reader.IsAtEnd)
        {
            Assert.True(reader.MaxLength <= buffer.Length);
            segments.Add(buffer[..reader.Next(buffer)]);
        }
        return segments;
    }

    [Theory]
    [InlineData(0x4f)]   // options that would reach into the payload
    [InlineData(0x44)]   // shorter than a header
    public void An_ipv4_header_that_does_not_end_where_the_transport_begins_is_refused(byte first)
    {
        byte[] packet = Packets.Tcp("10.1.0.9", "10.2.0.9", 1, Packets.Payload(300), partial: true);
        VnetHeader vnet = Packets.Gso(packet, 100);
        Assert.True(SegmentReader.TryOpen(packet, vnet, out _));
        packet[0] = first;
        Assert.False(SegmentReader.TryOpen(packet, vnet, out _));
    }
}
