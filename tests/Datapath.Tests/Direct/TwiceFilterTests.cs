using System.Buffers.Binary;
using Xfrmd.Datapath.Direct;

namespace Xfrmd.Datapath.Tests.Direct;

/// <summary>Ring and raw socket see some packets both: each is taken once, whichever brings it first.</summary>
public sealed class TwiceFilterTests
{
    private readonly TwiceFilter _filter = new();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_second_way_is_told_that_the_first_had_it(bool ringFirst)
    {
        Assert.False(_filter.HasSeen(Esp(1), ringFirst));
        Assert.True(_filter.HasSeen(Esp(1), !ringFirst));
        // A third one is a packet that the network brought twice.
        Assert.False(_filter.HasSeen(Esp(1), !ringFirst));
    }

    [Fact]
    public void One_way_alone_may_bring_the_same_again() => Assert.All(Enumerable.Range(0, 3), _ => Assert.False(_filter.HasSeen(Esp(7), fromRing: true)));

    [Fact]
    public void Nothing_else_is_taken_for_it()
    {
        Assert.False(_filter.HasSeen(Esp(1), fromRing: true));
        byte[] otherIcv = Esp(1), otherNumber = Esp(2), otherSpi = Esp(1);
        otherIcv[^1]++;
        otherSpi[0]++;
        Assert.False(_filter.HasSeen(otherIcv, fromRing: false));
        Assert.False(_filter.HasSeen(otherNumber, fromRing: false));
        Assert.False(_filter.HasSeen(otherSpi, fromRing: false));
    }

    [Fact]
    public void As_many_packets_as_queues_hold_are_remembered()
    {
        const int Queued = 16_000;
        for (uint i = 0; i < Queued; i++)
        {
            Assert.False(_filter.HasSeen(Esp(i), fromRing: true));
        }
        Assert.InRange(Enumerable.Range(0, Queued).Count(i => !_filter.HasSeen(Esp((uint)i), fromRing: false)), 0, Queued / 100);
    }

    [Fact]
    public void What_one_way_alone_has_had_for_long_gives_way_to_what_both_have()
    {
        const int Alone = 500_000, Both = 20_000, Behind = 1000;
        for (uint i = 0; i < Alone; i++)
        {
            _filter.HasSeen(Esp(i), fromRing: true);
        }
        int twice = 0;
        for (uint i = Alone; i < Alone + Both; i++)
        {
            _filter.HasSeen(Esp(i), fromRing: true);
            twice += i >= Alone + Behind && !_filter.HasSeen(Esp(i - Behind), fromRing: false) ? 1 : 0;
        }
        Assert.InRange(twice, 0, 2);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(8)]
    [InlineData(15)]
    public void What_is_too_short_to_be_opened_is_nobodys(int length)
    {
        Assert.False(_filter.HasSeen(new byte[length], fromRing: true));
        Assert.False(_filter.HasSeen(new byte[length], fromRing: false));
    }

    [Fact]
    public void It_forgets_when_it_ends()
    {
        _filter.Begin();
        Assert.True(_filter.IsActive);
        Assert.False(_filter.HasSeen(Esp(1), fromRing: true));
        _filter.End();
        Assert.False(_filter.IsActive);
        Assert.False(_filter.HasSeen(Esp(1), fromRing: false));
    }

    private static byte[] Esp(uint sequence)
    {
        byte[] packet = new byte[64];
        BinaryPrimitives.WriteUInt32BigEndian(packet, 0x1001);
        BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(4), sequence);
        BinaryPrimitives.WriteUInt64BigEndian(packet.AsSpan(56), sequence * 0x9E3779B97F4A7C15UL);
        return packet;
    }
}
