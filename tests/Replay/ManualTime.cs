namespace Xfrmd.Replay;

/// <summary>A clock that stands until it is moved. Its timers never fire by themselves: the replay runs what is due.</summary>
public sealed class ManualTime : TimeProvider
{
    private static readonly DateTimeOffset Begin = new(2026, 3, 1, 12, 0, 0, 400, TimeSpan.Zero);
    private static readonly TimeSpan Uptime = TimeSpan.FromSeconds(1.6);   // its seconds end elsewhere than those of the wall clock
    private TimeSpan _elapsed;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => Begin + _elapsed;

    public override long GetTimestamp() => (_elapsed + Uptime).Ticks;

    public void Advance(TimeSpan by) => _elapsed += by;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => new StoppedTimer();

    private sealed class StoppedTimer : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
