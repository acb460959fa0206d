namespace Xfrmd.Cli.Serve;

/// <summary>A clock that starts at the present and runs some times as fast: what waits an hour by it waits a minute at 60.</summary>
/// <param name="clock">The true one.</param>
/// <param name="rate">From 1.</param>
internal sealed class FastClock(TimeProvider clock, int rate) : TimeProvider
{
    public const int MaxRate = 3600;
    private readonly DateTimeOffset _start = clock.GetUtcNow();
    private readonly long _startStamp = clock.GetTimestamp();

    public override long TimestampFrequency => clock.TimestampFrequency;

    public override long GetTimestamp() => _startStamp + ((clock.GetTimestamp() - _startStamp) * rate);

    /// <summary>By the same timestamps, so that the two never part.</summary>
    public override DateTimeOffset GetUtcNow() => _start + (clock.GetElapsedTime(_startStamp) * rate);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        new Timer(clock.CreateTimer(callback, state, Shorten(dueTime), Shorten(period)), this);

    private TimeSpan Shorten(TimeSpan time) => time <= TimeSpan.Zero ? time : time / rate;

    private sealed class Timer(ITimer timer, FastClock clock) : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => timer.Change(clock.Shorten(dueTime), clock.Shorten(period));

        public void Dispose() => timer.Dispose();

        public ValueTask DisposeAsync() => timer.DisposeAsync();
    }
}
