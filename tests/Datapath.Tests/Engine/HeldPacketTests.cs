using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests.Engine;

/// <summary>net.core.xfrm_larval_drop 0: what finds no SA waits for it.</summary>
public sealed class HeldPacketTests
{
    private const int QueueLimit = 101, Headers = 28;
    private static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(100);

    [Fact]
    public void They_leave_in_order_once_the_SA_is_there()
    {
        TestClock clock = new();
        using Tunnel tunnel = WithoutSa(clock);
        Send(tunnel, 120);
        Assert.Equal(0, tunnel.Wire.Waiting);
        Assert.Equal(0, tunnel.SourceSpace.Statistics[XfrmCounter.OutNoStates]);
        Assert.InRange(tunnel.Outbound.WaitMilliseconds, 1, (int)FirstWait.TotalMilliseconds);

        lock (tunnel.SourceSpace.Gate)
        {
            Assert.True(tunnel.SourceSpace.Sad.Add(tunnel.Sa).IsOk);
        }
        tunnel.Outbound.RunOnce();
        Assert.Equal(0, tunnel.Wire.Waiting);
        clock.Advance(FirstWait);
        tunnel.Carry();
        Assert.Equal((ulong)QueueLimit, tunnel.TargetSa.CurrentLifetime.Packets);
        // Datagrams of a flow may arrive joined.
        Assert.Equal(Enumerable.Range(0, QueueLimit), tunnel.TargetTun.Written.SelectMany(w => w.Packet[Headers..]).Select(b => (int)b));
        Assert.Equal(-1, tunnel.Outbound.WaitMilliseconds);
    }

    [Fact]
    public void They_are_given_up_after_about_two_minutes()
    {
        TestClock clock = new();
        using Tunnel tunnel = WithoutSa(clock);
        Send(tunnel, 1);
        TimeSpan waited = TimeSpan.Zero;
        for (int wait; (wait = tunnel.Outbound.WaitMilliseconds) >= 0 && waited < TimeSpan.FromMinutes(10);)
        {
            clock.Advance(TimeSpan.FromMilliseconds(wait));
            waited += TimeSpan.FromMilliseconds(wait);
            tunnel.Outbound.RunOnce();
        }
        // 0.1 + 0.2 + 0.4 + ... + 102.4 s: the first wait that is not below a minute is the last one.
        Assert.Equal(204.7, waited.TotalSeconds, 0.5);
        Assert.Equal(0, tunnel.Wire.Waiting);
    }

    [Fact]
    public void They_never_leave_in_clear()
    {
        TestClock clock = new();
        using Tunnel tunnel = WithoutSa(clock);
        Send(tunnel, 3);
        lock (tunnel.SourceSpace.Gate)
        {
            tunnel.SourceSpace.Spd.Flush(PolicyType.Main);
        }
        clock.Advance(FirstWait);
        tunnel.Outbound.RunOnce();
        Assert.Equal((0, -1), (tunnel.Wire.Waiting, tunnel.Outbound.WaitMilliseconds));
    }

    private static Tunnel WithoutSa(TimeProvider clock)
    {
        Tunnel tunnel = new(time: clock);
        tunnel.SourceSpace.Sysctls.LarvalDrop = 0;
        lock (tunnel.SourceSpace.Gate)
        {
            tunnel.SourceSpace.Sad.Delete(tunnel.Sa);
            tunnel.Sa.State = SaState.Valid;
        }
        return tunnel;
    }

    private static void Send(Tunnel tunnel, int count)
    {
        for (int i = 0; i < count; i++)
        {
            tunnel.SourceTun.Send(default, Packets.Udp("10.1.0.1", "10.2.0.1", [(byte)i]));
        }
        tunnel.Carry();
    }
}
