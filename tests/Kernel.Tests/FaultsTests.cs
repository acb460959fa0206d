namespace Xfrmd.Kernel.Tests;

public sealed class FaultsTests
{
    private static readonly FaultSubject Request = new(IsPfKey: false, IsEvent: false, 16), Event = new(IsPfKey: false, IsEvent: true, 16);
    private readonly Faults _faults = new();

    [Fact]
    public void Each_rule_counts_its_messages_and_the_first_that_strikes_counts()
    {
        FaultRule second = new("a", Request, FaultKind.Refuse) { Errno = Errno.ENOMEM, First = 2, Last = 2 }, all = new("b", Request, FaultKind.Lose);
        _faults.Add(second);
        _faults.Add(all);
        Assert.Same(all, _faults.Find(Request));
        Assert.Same(second, _faults.Find(Request));
        Assert.Same(all, _faults.Find(Request));
        Assert.Null(_faults.Find(Event));
        Assert.Equal((3, 1, 3, 3), (second.Seen, second.Struck, all.Seen, all.Struck));
    }

    [Fact]
    public async Task Who_waits_goes_on_when_all_are_cleared()
    {
        FaultRule rule = new("a", Request, FaultKind.Delay) { Delay = TimeSpan.FromMinutes(1) };
        _faults.Add(rule);
        _faults.Wait(Event);
        Task waits = Task.Run(() => _faults.Wait(Request));
        while (rule.Struck == 0)
        {
            await Task.Delay(5);
        }
        Assert.False(waits.IsCompleted);
        _faults.Clear();
        await waits.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Null(_faults.Find(Request));   // a delay is none of what Find tells
    }
}
