using Xfrmd.Datapath.Engine;
using Xunit;

namespace Xfrmd.Datapath.Tests.Engine;

public sealed class WorkSplitTests
{
    private const int Window = 1000;
    private readonly WorkSplit _split = new(Window);
    private long _now, _inbound, _outbound;

    [Theory]
    [InlineData(0, 0, false)]
    [InlineData(1000, 0, false)]      // one direction needs no second thread, however full
    [InlineData(900, 100, false)]     // nor do TCP's acknowledgements
    [InlineData(500, 250, false)]     // one thread does both
    [InlineData(600, 250, true)]
    [InlineData(250, 600, true)]
    public void Two_threads_are_for_two_full_directions(int inbound, int outbound, bool apart)
    {
        Assert.Equal(apart, Pass(Window, inbound, outbound));
        Assert.Equal(apart, _split.IsApart);
    }

    [Theory]
    [InlineData(800, 800, true)]
    [InlineData(400, 250, true)]      // what would not have begun it does not end it either
    [InlineData(300, 250, false)]
    [InlineData(900, 100, false)]
    [InlineData(0, 0, false)]
    public void They_are_one_again_when_little_is_left(int inbound, int outbound, bool apart)
    {
        Assert.True(Pass(Window, 500, 500));
        Assert.Equal(!apart, Pass(Window, inbound, outbound));
        Assert.Equal(apart, _split.IsApart);
    }

    [Fact]
    public void A_whole_window_is_looked_at()
    {
        Assert.False(Pass(Window / 2, 250, 250));
        Assert.False(Pass((Window / 2) - 1, 250, 249));
        Assert.True(Pass(1, 0, 1));
    }

    private bool Pass(long time, long inbound, long outbound)
    {
        _now += time;
        _inbound += inbound;
        _outbound += outbound;
        return _split.Judge(_now, _inbound, _outbound);
    }
}
