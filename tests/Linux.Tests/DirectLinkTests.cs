using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;

namespace Xfrmd.Linux.Tests;

/// <summary>Frames by AF_XDP on one end of a cable, a ring of eBPF and an AF_PACKET ring on the other.</summary>
public sealed class DirectLinkTests : IDisposable
{
    private const int SendBuffer = 1 << 20, Fits = PacketRing.LengthLimit - 1;
    private const string Station = "02:00:00:00:00:02";
    private static int _count;
    private readonly string _name = string.Create(CultureInfo.InvariantCulture, $"direct-{Environment.ProcessId}-{Interlocked.Increment(ref _count)}");
    private readonly SafeFileHandle _netns;
    private readonly FrameSender _sender;
    private readonly TakingRing _ring;

    public DirectLinkTests()
    {
        Ip($"netns add {_name}");
        Ip($"-n {_name} link add one mtu 2000 type veth peer name two mtu 2000 address {Station}");
        Ip($"-n {_name} link set one up");
        Ip($"-n {_name} link set two up");
        _netns = File.OpenHandle("/run/netns/" + _name);
        int one = Number("one"), two = Number("two");
        _sender = NetworkNamespace.Run(_netns, () => new FrameSender(one, 0, SendBuffer));
        _ring = NetworkNamespace.Run(_netns, () => new TakingRing(two));
    }

    public void Dispose()
    {
        _sender.Dispose();
        _ring.Dispose();
        _netns.Dispose();
        Ip($"netns del {_name}");
    }

    [Theory]
    [InlineData("10.0.0.1", "10.0.0.2")]
    [InlineData("2001:db8::1", "2001:db8::2")]
    public void Packets_of_a_pair_are_taken_whole_while_it_is_told(string source, string destination)
    {
        byte[] addresses = [.. IPAddress.Parse(source).GetAddressBytes(), .. IPAddress.Parse(destination).GetAddressBytes()];
        Send(Packet(addresses, 100));
        Assert.Empty(Taken());
        _ring.Take(addresses);
        int overhead = addresses.Length == 8 ? 0 : 40;
        byte[][] packets = [Packet(addresses, 60), Packet(addresses, 1400), Packet(addresses, Fits + overhead)];
        Send(packets);
        Assert.Equal(packets, Taken());
        _ring.Leave(addresses);
        Send(packets);
        Assert.Empty(Taken());
    }

    [Fact]
    public void What_a_raw_socket_must_see_is_left()
    {
        byte[] addresses = [10, 0, 0, 1, 10, 0, 0, 2], other = [10, 0, 0, 1, 10, 0, 0, 3];
        _ring.Take(addresses);
        (string What, byte[] Packet)[] left =
        [
            ("of another pair", Packet(other, 100)),
            ("UDP", With(Packet(addresses, 100), 9, 17)),
            ("a fragment", With(Packet(addresses, 100), 6, 0x20)),
            ("a later fragment", With(Packet(addresses, 100), 7, 1)),
            ("with options", With(Packet(addresses, 100), 0, 0x46)),
            ("version 6 in an IPv4 frame", With(Packet(addresses, 100), 0, 0x65)),
            ("cut short", Packet(addresses, 100)[..90]),
            ("shorter than its header", With(With(Packet(addresses, 100), 2, 0), 3, 19)),
            ("too large for a record", Packet(addresses, Fits + 1)),
            ("nearly nothing", [0x45, 0]),
        ];
        foreach ((string what, byte[] packet) in left)
        {
            Send(packet);
            Assert.Equal((what, 0), (what, Taken().Count));
        }
        byte[] good = Packet(addresses, 100);
        Send(Header(good, "02:00:00:00:00:09"), good);
        Assert.Empty(Taken());   // for another station
        Send(With(good, 6, 0x40));
        Assert.Single(Taken());   // DF
    }

    [Fact]
    public async Task A_reader_that_waits_is_woken()
    {
        byte[] addresses = [10, 0, 0, 1, 10, 0, 0, 2], packet = Packet(addresses, 100);
        _ring.Take(addresses);
        ReadyWait wait = new(_ring.Handle);
        for (int i = 0; i < 200; i++)
        {
            Assert.Equal(0u, wait.Wait(0));
            _ring.PrepareWait();
            Task<uint> waiting = Task.Run(() => wait.Wait(10_000));
            if (i % 2 == 0)
            {
                Thread.Sleep(1);
            }
            Send(packet);
            Assert.Equal(1u, await waiting);
            Assert.Single(Taken());
        }
    }

    [Fact]
    public void A_full_ring_loses_packets_and_goes_on()
    {
        byte[] addresses = [10, 0, 0, 1, 10, 0, 0, 2];
        _ring.Take(addresses);
        const int More = 5000;
        for (int i = 0; i < More; i++)
        {
            Send(Packet(addresses, 200));
        }
        Assert.InRange(Taken().Count, 2000, More - 1);
        Send(Packet(addresses, 200));
        Assert.Single(Taken());
    }

    [Fact]
    public void Many_frames_leave_in_their_order_round_after_round()
    {
        byte[] addresses = [10, 0, 0, 1, 10, 0, 0, 2];
        _ring.Take(addresses);
        for (uint number = 0; number < 2000;)
        {
            List<byte[]> sent = [];
            for (int i = 0; i < 100; i++)
            {
                byte[] packet = Packet(addresses, 300 + (int)(number % 1000));
                BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(24), number++);
                sent.Add(packet);
            }
            Send([.. sent]);
            Assert.Equal(sent, Taken());
        }
    }

    [Fact]
    public void A_sender_has_room_for_so_many_and_no_more_and_a_link_that_is_down_keeps_them()
    {
        byte[] packet = Packet([10, 0, 0, 1, 10, 0, 0, 2], 100), header = Header(packet, Station);
        _ring.Take([10, 0, 0, 1, 10, 0, 0, 2]);
        Ip($"-n {_name} link set one down");
        int room = 0;
        while (_sender.TryAdd(packet, header))
        {
            room++;
        }
        Assert.Equal(256, room);
        Assert.Equal(room, _sender.Send());
        Ip($"-n {_name} link set one up");
        Assert.Equal(0, _sender.Send());
        Assert.Equal(room, Taken().Count);
        Assert.True(_sender.TryAdd(packet, header));
    }

    [Fact]
    public void A_link_is_one_senders()
    {
        int one = Number("one");
        LinuxException refusal = Assert.Throws<LinuxException>(() => NetworkNamespace.Run(_netns, () => new FrameSender(one, 0, SendBuffer)));
        Assert.Equal(16, refusal.Errno);   // EBUSY
    }

    private static byte[] Packet(byte[] addresses, int length)
    {
        byte[] packet = new byte[length];
        for (int i = 0; i < length; i++)
        {
            packet[i] = (byte)(i * 7);
        }
        bool v4 = addresses.Length == 8;
        packet.AsSpan(0, v4 ? 20 : 40).Clear();
        packet[0] = (byte)(v4 ? 0x45 : 0x60);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(v4 ? 2 : 4), (ushort)(v4 ? length : length - 40));
        packet[v4 ? 9 : 6] = 50;
        addresses.CopyTo(packet, v4 ? 12 : 8);
        return packet;
    }

    private static byte[] With(byte[] packet, int at, byte value)
    {
        byte[] changed = [.. packet];
        changed[at] = value;
        return changed;
    }

    private static byte[] Header(byte[] packet, string station) =>
        [.. Convert.FromHexString(station.Replace(":", "", StringComparison.Ordinal)), 2, 0, 0, 0, 0, 1, .. packet[0] >> 4 == 6 && packet.Length >= 40 && packet[0] == 0x60 ? new byte[] { 0x86, 0xDD } : [8, 0]];

    private void Send(params byte[][] packets)
    {
        foreach (byte[] packet in packets)
        {
            Assert.True(_sender.TryAdd(packet, Header(packet, Station)));
        }
        Assert.Equal(0, _sender.Send());
    }

    private void Send(byte[] header, byte[] packet)
    {
        Assert.True(_sender.TryAdd(packet, header));
        Assert.Equal(0, _sender.Send());
    }

    /// <summary>What is in the ring, each cut to what its IP header says.</summary>
    private List<byte[]> Taken()
    {
        List<byte[]> packets = [];
        for (int left = _ring.Count(int.MaxValue); left > 0; left--)
        {
            ReadOnlySpan<byte> packet = _ring.Peek();
            bool v4 = packet[0] >> 4 == 4;
            packets.Add(packet[..(v4 ? BinaryPrimitives.ReadUInt16BigEndian(packet[2..]) : 40 + BinaryPrimitives.ReadUInt16BigEndian(packet[4..]))].ToArray());
            _ring.Release();
        }
        _ring.EndBatch();
        return packets;
    }

    private int Number(string device) => int.Parse(Ip($"netns exec {_name} cat /sys/class/net/{device}/ifindex"), CultureInfo.InvariantCulture);

    private static string Ip(string arguments)
    {
        using System.Diagnostics.Process process = System.Diagnostics.Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return output;
    }
}
