using Xfrmd.Datapath.Capture;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests.Engine;

/// <summary>What a person who captures sees of the workers, and that the workers hardly see the person.</summary>
public sealed class CaptureTests
{
    private const int SnapLength = 65535;
    private const string A = "10.1.0.1", B = "10.2.0.1";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_packet_is_seen_in_clear_and_as_it_arrives_and_in_clear_again(bool inUdp)
    {
        using Tunnel tunnel = new(inUdp);
        using PacketCapture capture = tunnel.Captures.Start(SnapLength);
        byte[] sent = Packets.Udp(A, B, Packets.Payload(100));
        tunnel.SourceTun.Send(default, sent);
        tunnel.Outbound.RunOnce();
        byte[] wire = Assert.Single(tunnel.Wire.Peek());
        tunnel.Carry();

        List<(CapturedPacket Info, byte[] Bytes)> seen = Drain(capture);
        Assert.Equal([(CaptureSide.Clear, false), (CaptureSide.Esp, true), (CaptureSide.Clear, true)], seen.Select(p => (p.Info.Side, p.Info.Inbound)));
        Assert.Equal(sent, seen[0].Bytes);
        Assert.Equal(wire, seen[1].Bytes);
        Assert.Equal(sent, seen[2].Bytes);
        Assert.Equal([tunnel.Sa, tunnel.TargetSa, tunnel.TargetSa], seen.Select(p => p.Info.Sa));
        Assert.All(seen, p => Assert.False(p.Info.IsLost));
        Assert.Equal(seen.Select(p => p.Info.Ticks).Order(), seen.Select(p => p.Info.Ticks));
    }

    [Fact]
    public void A_packet_that_is_dropped_says_why()
    {
        using Tunnel tunnel = new();
        using PacketCapture capture = tunnel.Captures.Start(SnapLength);
        using DropWatch drops = tunnel.TargetSpace.Drops.Watch();
        tunnel.SourceTun.Send(default, Packets.Udp(A, B, Packets.Payload(10)));
        tunnel.Outbound.RunOnce();
        lock (tunnel.TargetSpace.Gate)
        {
            tunnel.TargetSpace.Sad.Flush(IpProtocol.Any);
        }
        tunnel.Carry();

        CapturedPacket arrived = Assert.Single(Drain(capture), p => p.Info.Inbound).Info;
        Assert.Equal((XfrmCounter.InNoStates, true), (arrived.Dropped, arrived.IsLost));
        Assert.True(drops.Reader.TryRead(out DroppedPacket dropped));
        Assert.Equal((XfrmCounter.InNoStates, 0x1001u, "192.0.2.1", "192.0.2.2"), (
            dropped.Counter, dropped.Spi.Value, dropped.Flow.Saddr.ToString(AddressFamily.Inet), dropped.Flow.Daddr.ToString(AddressFamily.Inet)));
    }

    [Fact]
    public void An_outbound_packet_without_sa_says_its_flow()
    {
        using Tunnel tunnel = new();
        using PacketCapture capture = tunnel.Captures.Start(SnapLength);
        using DropWatch drops = tunnel.SourceSpace.Drops.Watch();
        lock (tunnel.SourceSpace.Gate)
        {
            tunnel.SourceSpace.Sad.Flush(IpProtocol.Any);
        }
        tunnel.SourceTun.Send(default, Packets.Udp(A, B, Packets.Payload(10)));
        tunnel.Carry();

        Assert.Equal(XfrmCounter.OutNoStates, Assert.Single(Drain(capture)).Info.Dropped);
        Assert.True(drops.Reader.TryRead(out DroppedPacket dropped));
        Assert.Equal((XfrmCounter.OutNoStates, A, B, 1), (
            dropped.Counter, dropped.Flow.Saddr.ToString(AddressFamily.Inet), dropped.Flow.Daddr.ToString(AddressFamily.Inet), dropped.Packets));
    }

    [Fact]
    public void Capturing_allocates_nothing_and_what_finds_no_room_is_counted()
    {
        using Tunnel tunnel = new();
        tunnel.TargetTun.Discards = true;
        using PacketCapture capture = tunnel.Captures.Start(SnapLength);
        byte[] packet = Packets.Udp(A, B, Packets.Payload(64));
        const int Sent = 20_000;
        for (int round = 0; round < 2; round++)
        {
            tunnel.SourceTun.Send(default, packet);
            tunnel.SourceTun.Repeats = Sent;
            long before = GC.GetAllocatedBytesForCurrentThread();
            tunnel.Carry();
            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            // The clock's second may change once: a flow is then decided anew.
            Assert.True(round == 0 || allocated < 2000, $"{allocated} bytes for {Sent} packets");
            long seen = Drain(capture).Count;
            Assert.InRange(seen, 1, 3 * Sent);
            Assert.InRange(capture.Lost, 1, long.MaxValue);
        }
    }

    [Fact]
    public void Two_capture_at_once_and_each_ends_alone()
    {
        using Tunnel tunnel = new();
        using PacketCapture one = tunnel.Captures.Start(SnapLength);
        using (PacketCapture two = tunnel.Captures.Start(20))
        {
            tunnel.SourceTun.Send(default, Packets.Udp(A, B, Packets.Payload(10)));
            tunnel.Carry();
            Assert.All(Drain(two), p => Assert.Equal(20, p.Bytes.Length));
        }
        tunnel.SourceTun.Send(default, Packets.Udp(A, B, Packets.Payload(10)));
        tunnel.Carry();
        Assert.Equal(6, Drain(one).Count);
        one.Dispose();
        tunnel.SourceTun.Send(default, Packets.Udp(A, B, Packets.Payload(10)));
        tunnel.Carry();
        Assert.Empty(Drain(one));
    }

    [Fact]
    public void A_ring_wraps_without_mixing_packets()
    {
        CaptureRing ring = new(packets: 8, bytes: 200, snapLength: 64);
        for (int i = 0; i < 200; i++)
        {
            byte[] packet = [.. Enumerable.Repeat((byte)i, 1 + (i * 7 % 60))];
            ring.Begin(new CapturedPacket { Ticks = i }, packet.AsSpan(0, packet.Length / 2), packet.AsSpan(packet.Length / 2));
            ring.Commit(null, null, isLost: false);
            Assert.True(ring.TryPeek(out CapturedPacket info, out ReadOnlySpan<byte> bytes));
            Assert.Equal(i, info.Ticks);
            Assert.Equal(packet, bytes.ToArray());
            ring.Release();
        }
        Assert.Equal(0, ring.Lost);
        Assert.False(ring.TryPeek(out _, out _));
    }

    private static List<(CapturedPacket Info, byte[] Bytes)> Drain(PacketCapture capture)
    {
        List<(CapturedPacket, byte[])> packets = [];
        capture.Drain((in CapturedPacket info, ReadOnlySpan<byte> bytes) => packets.Add((info, bytes.ToArray())), all: true);
        return packets;
    }
}
