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
