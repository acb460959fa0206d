using System.Globalization;
using Xfrmd.Interop.Harness;

namespace Xfrmd.Interop;

/// <summary>What the scenarios rest on: a capture that would show a leak, and a lab that leaves nothing.</summary>
[Collection(Alone.Name)]
public sealed class HarnessTests
{
    [Fact]
    public void A_packet_in_clear_is_seen_on_the_wire()
    {
        using Gateways net = new();
        Wiretap tap = net.Watch();
        net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        net.LeftHost.PingsThrough(Gateways.RightHostAddress6);
        WireReport report = tap.Stop();
        Assert.ThrowsAny<Exception>(() => report.AssertNothingClear((Gateways.LeftNet, Gateways.RightNet)));
        Assert.ThrowsAny<Exception>(() => report.AssertNothingClear((Gateways.LeftNet6, Gateways.RightNet6)));
        report.AssertNothingClear(("10.7.0.0/16", "0.0.0.0/0"));
        Assert.ThrowsAny<Exception>(() => report.AssertRawEsp());
    }

    [Fact]
    public void The_router_of_the_nat_lab_hides_the_client()
    {
        using Gateways net = new(Middle.Nat);
        Wiretap tap = net.Watch();
        net.Left.PingsThrough(Gateways.RightAddress);
        WireReport report = tap.Stop();
        Assert.Contains(report.Clear, packet => packet.Source?.ToString() == Gateways.NatAddress);
        Assert.DoesNotContain(report.Clear, packet => packet.Source?.ToString() == Gateways.LeftBehindNat);
    }

    [Fact]
    public void A_lab_leaves_nothing_and_removes_what_a_killed_run_left()
    {
        int dead = Command.Run([Toolbox.Find("sh"), "-c", "echo $$"]).Output.Trim() is { } pid ? int.Parse(pid, CultureInfo.InvariantCulture) : 0;
        string orphan = string.Create(CultureInfo.InvariantCulture, $"xfi{dead}.1-left");
        Command.Run([Toolbox.Find("ip"), "netns", "add", orphan]).OrFail();
        string prefix;
        using (Gateways net = new())
        {
            prefix = net.Lab.Prefix;
            Assert.False(File.Exists("/run/netns/" + orphan));
            net.Left.Start("sleep", Toolbox.Find("sleep"), "1000");
        }
        Assert.Empty(Directory.GetFiles("/run/netns", prefix + "*"));
        Assert.Empty(Directory.GetDirectories(Path.GetTempPath(), prefix + "*"));
    }
}
