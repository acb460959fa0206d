namespace Xfrmd.Kernel.Tests;

public sealed class TimerTests
{
    [Fact]
    public void A_timer_that_fires_early_is_set_again()
    {
        EarlyTime time = new();
        using XfrmNamespace space = new(1, time);
        SecurityAssociation sa = TestSpace.Sa("10.0.0.1", "10.0.0.2", 0x1000);
        sa.Lifetime.HardAddExpiresSeconds = 1;
        lock (space.Gate)
        {
            sa.AddTime = space.WallSeconds;
            space.Sad.Insert(sa);
        }
        for (int i = 0; i < 10 && space.Sad.Count != 0; i++)
        {
            Assert.True(time.Fire(), "somebody waits");
        }
        Assert.Equal(0, space.Sad.Count);
    }

    /// <summary>As <c>nat_keepalive_work</c>: at once, then when nothing else has gone out for as long as the interval.</summary>
    [Fact]
    public void Keepalives_are_sent_while_nothing_else_is()
    {
        using TestSpace test = new();
        List<ulong> sent = [];
        ulong start = test.Space.WallSeconds;
        test.Space.SendKeepalive = _ => sent.Add(test.Space.WallSeconds - start);
        SecurityAssociation sa = Keeping(0x1000, interval: 5);
        Insert(test, sa);
        test.Pass(11);
        Assert.Equal([0, 5, 10], sent);

        // A packet in second 12: the next is due five after it.
        sent.Clear();
        test.Pass(1);
        sa.Account(100, 1, test.Space.WallSeconds);
        test.Pass(10);
        Assert.Equal([17, 22], sent);

        sent.Clear();
        lock (test.Space.Gate)
        {
            test.Space.Sad.Delete(sa);
        }
        test.Pass(20);
        Assert.Empty(sent);
    }

    /// <summary>One look is under way for all: who comes meanwhile waits for it, and it sends for each that is idle, whatever was sent last.</summary>
    [Fact]
    public void Keepalives_of_several_SAs_go_together()
    {
        using TestSpace test = new();
        List<(uint Spi, ulong Second)> sent = [];
        ulong start = test.Space.WallSeconds;
        test.Space.SendKeepalive = sa => sent.Add((sa.Id.Spi.Value, test.Space.WallSeconds - start));
        Insert(test, Keeping(0x1000, interval: 10));
        test.Pass(1);
        Insert(test, Keeping(0x1001, interval: 4));
        test.Pass(14);
        Assert.Equal([(0x1000u, 0ul), (0x1001u, 10ul), (0x1000u, 10ul), (0x1001u, 14ul), (0x1000u, 14ul)], sent);
    }

    /// <summary><c>km_new_mapping</c> with XFRMA_MTIMER_THRESH: another port is told at once, the same one when more than the limit has passed.</summary>
    [Fact]
    public void Mappings_are_told_as_seldom_as_the_SA_says()
    {
        using TestSpace test = new();
        SecurityAssociation sa = TestSpace.Sa("10.0.0.1", "10.0.0.2", 0x1000);
        (sa.Encap, sa.MappingMaxAge) = (new XfrmEncapTmpl { EncapType = XfrmEncapTmpl.EspInUdp }, 3);
        Insert(test, sa);
        foreach ((int seconds, ushort port, int told) in ((int, ushort, int)[])[(0, 4500, 1), (0, 4500, 1), (3, 4500, 1), (1, 4500, 2), (0, 4501, 3), (0, 4500, 4)])
        {
            test.Pass(seconds);
            test.Space.PostMapping(sa, XfrmAddress.Parse("10.0.0.9"), Be16.From(port));
            test.Space.RunPending();
            Assert.Equal(told, test.Manager.Mappings.Count);
        }
    }

    private static SecurityAssociation Keeping(uint spi, uint interval)
    {
        SecurityAssociation sa = TestSpace.Sa("10.0.0.1", "10.0.0.2", spi);
        sa.NatKeepaliveInterval = interval;
        return sa;
    }

    private static void Insert(TestSpace test, SecurityAssociation sa)
    {
        lock (test.Space.Gate)
        {
            test.Space.Sad.Insert(sa);
        }
    }

    /// <summary>Its timer fires half a millisecond before its time, as one may that counts whole milliseconds.</summary>
    private sealed class EarlyTime : TimeProvider
    {
        private static readonly TimeSpan Early = TimeSpan.FromMilliseconds(0.5);
        private TimeSpan _now;
        private EarlyTimer? _timer;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now.Ticks;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddYears(50) + _now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            _timer = new EarlyTimer { Callback = () => callback(state), Due = dueTime };

        public bool Fire()
        {
            if (_timer is not { Due: { } due })
            {
                return false;
            }
            _timer.Due = null;
            _now += due > Early ? due - Early : due;
            _timer.Callback();
            return true;
        }

        private sealed class EarlyTimer : ITimer
        {
            public required Action Callback { get; init; }

            public TimeSpan? Due { get; set; }

            public bool Change(TimeSpan dueTime, TimeSpan period)
            {
                Due = dueTime;
                return true;
            }

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
