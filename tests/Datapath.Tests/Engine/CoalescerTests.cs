using Xfrmd.Datapath.Engine;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Tests.Engine;

public class CoalescerTests
{
    private readonly MemoryTun _tun = new();
    private readonly Coalescer _coalescer;

    public CoalescerTests() => _coalescer = new Coalescer(_tun);

    [Theory]
    [InlineData("10.1.0.1", "10.2.0.1")]
    [InlineData("fd01::1", "fd02::1")]
    public void Segments_in_order_become_one_packet(string source, string destination)
    {
        List<byte[]> sent = [.. Enumerable.Range(0, 5).Select(i => Packets.Tcp(source, destination, (uint)(1 + (i * 1000)), Packets.Payload(1000, i), id: (ushort)(i + 9)))];
        Give(sent);

        (VnetHeader header, byte[] packet) = Assert.Single(_tun.Written);
        Assert.Equal(1000, header.GsoSize);
        Assert.Equal(VnetHeader.NeedsChecksum, header.Flags);
        AssertSame(sent, Packets.Segments(header, packet));
    }

    [Theory]
    [InlineData("10.1.0.1", "10.2.0.1")]
    [InlineData("fd01::1", "fd02::1")]
    public void Datagrams_of_one_size_become_one_packet_and_a_shorter_one_ends_it(string source, string destination)
    {
        List<byte[]> sent = [.. Enumerable.Range(0, 6).Select(i => Packets.Udp(source, destination, Packets.Payload(i == 3 ? 50 : 64, i), id: (ushort)(i + 9)))];
        Give(sent);

        Assert.Equal(2, _tun.Written.Count);
        AssertSame(sent, [.. _tun.Written.SelectMany(w => Packets.Segments(w.Header, w.Packet))]);
    }

    [Fact]
    public void What_differs_is_not_joined()
    {
        byte[] first = Packets.Tcp("10.1.0.1", "10.2.0.1", 1, Packets.Payload(100));
        byte[] next = Packets.Tcp("10.1.0.1", "10.2.0.1", 101, Packets.Payload(100), id: 101);
        foreach ((int at, byte value, string what) in (ReadOnlySpan<(int, byte, string)>)
            [(1, 4, "TOS"), (8, 63, "TTL"), (28, 9, "ack"), (34, 9, "window"), (45, 9, "timestamp"), (33, 0x30, "URG"), (33, 0x50, "ECE"), (6, 0, "DF")])
        {
            byte[] other = [.. next];
            other[at] = value;
            Mend(other);
            Give([first, other]);
            Assert.True(_tun.Written.Count == 2, what);
            AssertSame([first, other], [.. _tun.Written.Select(w => w.Packet)]);
            _tun.Written.Clear();
        }
    }

    [Fact]
    public void A_gap_a_repetition_and_a_larger_segment_are_not_joined()
    {
        byte[] Segment(uint sequence, int length) => Packets.Tcp("10.1.0.1", "10.2.0.1", sequence, Packets.Payload(length));
        foreach (byte[][] pair in (byte[][][])[[Segment(1, 100), Segment(102, 100)], [Segment(1, 100), Segment(1, 100)], [Segment(1, 100), Segment(101, 101)]])
        {
            Give(pair);
            AssertSame(pair, [.. _tun.Written.Select(w => w.Packet)]);
            _tun.Written.Clear();
        }
    }

    [Fact]
    public void A_wrong_checksum_stays_wrong()
    {
        byte[] first = Packets.Tcp("10.1.0.1", "10.2.0.1", 1, Packets.Payload(100));
        byte[] bad = Packets.Tcp("10.1.0.1", "10.2.0.1", 101, Packets.Payload(100), id: 101);
        bad[^1] ^= 1;
        Give([first, bad, Packets.Tcp("10.1.0.1", "10.2.0.1", 201, Packets.Payload(100), id: 102)]);

        Assert.Equal(3, _tun.Written.Count);
        Assert.Equal(bad, _tun.Written[1].Packet);
        Assert.Equal(0, _tun.Written[1].Header.Flags);
    }

    [Fact]
    public void Whatever_comes_leaves_in_the_order_of_its_flow()
    {
        Random random = new(4711);
        uint[] sequence = new uint[12];
        for (int round = 0; round < 300; round++)
        {
            List<byte[]> sent = [];
            for (int i = random.Next(1, 60); i > 0; i--)
            {
                int flow = random.Next(sequence.Length), length = random.Next(8) switch { 0 => 0, 1 => random.Next(1, 200), _ => 200 };
                byte[] payload = Packets.Payload(length, random.Next());
                if (flow % 3 == 2)
                {
                    sent.Add(Packets.Udp("10.1.0.1", "10.2.0.1", payload, sport: (ushort)flow, id: (ushort)sent.Count, dontFragment: random.Next(2) == 0));
                    continue;
                }
                byte flags = random.Next(10) == 0 ? (byte)(Packets.Ack | Packets.Psh) : Packets.Ack;
                (string source, string destination) = flow % 3 == 0 ? ("10.1.0.1", "10.2.0.1") : ("fd01::1", "fd02::1");
                sent.Add(Packets.Tcp(source, destination, sequence[flow], payload, flags, (ushort)flow, (ushort)sent.Count));
                sequence[flow] += random.Next(10) == 0 ? 1u : (uint)length;
            }
            Give(sent);
            List<byte[]> got = [.. _tun.Written.SelectMany(w => Packets.Segments(w.Header, w.Packet))];
            foreach (IGrouping<(byte, byte, byte), byte[]> flow in sent.GroupBy(FlowOf))
            {
                AssertSame([.. flow], [.. got.Where(p => FlowOf(p) == flow.Key)]);
            }
            Assert.Equal(sent.Count, got.Count);
            _tun.Written.Clear();
        }
    }

    private static (byte, byte, byte) FlowOf(byte[] packet)
    {
        int network = packet[0] >> 4 == 4 ? 20 : 40;
        return (packet[0], network == 20 ? packet[9] : packet[6], packet[network + 1]);
    }

    [Fact]
    public void What_has_another_mark_is_not_joined_and_keeps_it()
    {
        uint[] marks = [5, 5, 0, 0, 9];
        List<byte[]> sent = [.. marks.Select((_, i) => Packets.Tcp("10.1.0.1", "10.2.0.1", (uint)(1 + (i * 100)), Packets.Payload(100, i), id: (ushort)(i + 9)))];
        Give(sent, marks);

        Assert.Equal([5, 0, 9], _tun.Marks);
        AssertSame(sent, [.. _tun.Written.SelectMany(w => Packets.Segments(w.Header, w.Packet))]);
    }

    private void Give(IEnumerable<byte[]> packets, uint[]? marks = null)
    {
        List<byte[]> held = [];   // the port knows addresses only
        foreach (byte[] packet in packets)
        {
            byte[] pinned = PinnedArray.Create(packet.Length);
            held.Add(pinned);
            packet.CopyTo(pinned, 0);
            _coalescer.Add(new PacketSlot(pinned, 0, packet.Length, 0, packet.Length) { Mark = marks?[held.Count - 1] ?? 0 });
        }
        _coalescer.Flush();
        GC.KeepAlive(held);
    }

    private static void Mend(byte[] packet)
    {
        byte[] mended = Packets.Tcp("10.1.0.1", "10.2.0.1", 1, []);
        Assert.Equal(mended.Length, Packets.HeaderLength(packet));
        packet[10] = packet[11] = 0;
        Wire.Ipv4View.Seal(packet);
        packet[36] = packet[37] = 0;
        ulong pseudo = Wire.InternetChecksum.PseudoHeader(packet.AsSpan(12, 4), packet.AsSpan(16, 4), 6, packet.Length - 20);
        Wire.InternetChecksum.Write(packet.AsSpan(36), Wire.InternetChecksum.Finish(Wire.InternetChecksum.Sum(packet.AsSpan(20), pseudo)));
        Packets.AssertSound(packet);
    }

    private static void AssertSame(IReadOnlyList<byte[]> expected, IReadOnlyList<byte[]> actual)
    {
        Assert.Equal(expected.Count, actual.Count);
        for (int i = 0; i < expected.Count; i++)
        {
            Assert.Equal(Packets.WithoutChecksums(expected[i]), Packets.WithoutChecksums(actual[i]));
        }
    }
}
