using Xfrmd.Datapath.Steering;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Routing;

namespace Xfrmd.Datapath.Tests.Steering;

/// <summary>What a run leaves behind, and what the next one does with it.</summary>
public sealed class SteeringCleanupTests : IDisposable
{
    private readonly SteeringLab _lab = new(start: false);

    public void Dispose() => _lab.Dispose();

    [Fact]
    public void An_orderly_stop_leaves_the_namespace_as_it_was()
    {
        string before = State();
        _lab.Start();
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16"));
        _lab.Steering.DeviceFor(7);
        Assert.NotEqual(before, State());
        _lab.Steering.Dispose();
        Assert.Equal(before, State());
    }

    [Fact]
    public void What_a_kill_left_is_removed_by_the_next_start()
    {
        string before = State();
        _lab.Start();
        _lab.Add(Policies.Out("0.0.0.0/0", "0.0.0.0/0"));
        _lab.KillDevices();
        Assert.NotEqual(0, _lab.Ping(_lab.Gateway, "192.0.2.2").Exit);
        Assert.True(HasPrograms());
        Assert.True(NetfilterSteering.RemoveLeftovers(_lab.Netns, _lab.Options) > 0);
        Assert.Equal(before, State());
        Assert.False(HasPrograms());
        Assert.Equal(0, _lab.Ping(_lab.Gateway, "192.0.2.2").Exit);
        Assert.Equal(0, NetfilterSteering.RemoveLeftovers(_lab.Netns, _lab.Options));
    }

    [Fact]
    public void Policies_that_are_there_already_are_written_at_the_start()
    {
        _lab.Add(Policies.Out("0.0.0.0/0", "10.2.0.0/16"));
        _lab.Start();
        _lab.Ping(_lab.Gateway, "10.2.0.1");
        Assert.Single(SteeringLab.Read(_lab.Device));
    }

    private bool HasPrograms()
    {
        int eth0 = int.Parse(SteeringLab.Run($"ip netns exec {_lab.Gateway} cat /sys/class/net/eth0/ifindex"), System.Globalization.CultureInfo.InvariantCulture);
        return NetworkNamespace.Run(_lab.Netns, () => NetworkSurvey.HasEgressPrograms(eth0, ours: 0));
    }

    private string State() => SteeringLab.Run(
        $"ip -n {_lab.Gateway} rule; ip -n {_lab.Gateway} -6 rule; ip -n {_lab.Gateway} -o link show type tun; ip -n {_lab.Gateway} route show table all type unicast; ip -n {_lab.Gateway} route show table all type unreachable; ip netns exec {_lab.Gateway} nft list ruleset");
}
