using Microsoft.Extensions.Time.Testing;
using Xfrmd.Cli.Serve;

namespace Xfrmd.Cli.Tests;

public sealed class FastClockTests
{
    private readonly FakeTimeProvider _true = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

    [Fact]
    public void An_hour_passes_in_a_minute()
    {
        FastClock clock = new(_true, 60);
        DateTimeOffset start = clock.GetUtcNow();
        long stamp = clock.GetTimestamp();
        Assert.Equal(_true.GetUtcNow(), start);
        _true.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal((start + TimeSpan.FromHours(1), TimeSpan.FromHours(1)), (clock.GetUtcNow(), clock.GetElapsedTime(stamp)));
    }

    [Fact]
    public void Timers_follow_it()
    {
        FastClock clock = new(_true, 60);
        int fired = 0;
        using ITimer timer = clock.CreateTimer(_ => fired++, null, TimeSpan.FromHours(1), Timeout.InfiniteTimeSpan);
        _true.Advance(TimeSpan.FromSeconds(59));
        Assert.Equal(0, fired);
        _true.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, fired);
        timer.Change(TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(2));
        _true.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(2, fired);
        _true.Advance(TimeSpan.FromSeconds(4));
        Assert.Equal(4, fired);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("3601")]
    public void A_rate_that_makes_no_sense_is_refused(string rate)
    {
        Terminal typed = Terminal.Type("serve", "--socket", "/nonexistent/s", "--clock-rate", rate);
        Assert.Equal(2, typed.Code);
        Assert.Contains("--clock-rate is from 1 to 3600", typed.Errors, StringComparison.Ordinal);
    }
}
