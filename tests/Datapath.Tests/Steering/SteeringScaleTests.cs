using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests.Steering;

/// <summary>Ten thousand tunnels: what a change costs, and what a packet pays.</summary>
public sealed class SteeringScaleTests : IDisposable
{
    private const int Tunnels = 10_000;
    private readonly SteeringLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Fact]
    public void A_change_takes_well_under_a_millisecond_and_a_packet_meets_as_many_rules_as_with_one_tunnel()
    {
        List<double> inserts = [], changes = [];
        for (int i = 0; i < Tunnels; i++)
        {
            string remote = $"10.{2 + (i / 256)}.{i % 256}.0/24";
            inserts.Add(Milliseconds(() => _lab.Add(Policies.Out("10.1.0.0/16", remote, priority: (uint)(1000 + (i % 16))))));
        }
        for (int i = 0; i < 200; i++)
        {
            changes.Add(Milliseconds(() => _lab.Add(Policies.Out("10.1.0.0/16", "10.20.20.0/24", priority: 1000, action: PolicyAction.Block))));
            changes.Add(Milliseconds(() => _lab.Add(Policies.Out("10.1.0.0/16", "10.20.20.0/24", priority: 1000))));
        }
        string rules = SteeringLab.Run($"ip netns exec {_lab.Gateway} nft list chain inet xfrmd out");
        Assert.Single(rules.Split('\n'), line => line.Contains(" @out", StringComparison.Ordinal));
        _lab.In(_lab.Gateway, "ping -n -c1 -W0.2 -I 10.1.0.1 10.40.7.9");
        Assert.Equal("10.40.7.9", TestPackets.Destination(Assert.Single(SteeringLab.Read(_lab.Device))));
        Assert.True(Median(inserts) < 1 && Median(changes) < 1, $"insert {Median(inserts):F3} ms, change {Median(changes):F3} ms");
    }

    private static double Milliseconds(Action action)
    {
        long start = TimeProvider.System.GetTimestamp();
        action();
        return TimeProvider.System.GetElapsedTime(start).TotalMilliseconds;
    }

    /// <summary>The median: a busy machine takes the processor away from some of them.</summary>
    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
