using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>Peers that fall silent, end what they have, or move.</summary>
public sealed class LivenessTests(ITestOutputHelper output) : Scenario(output)
{
    private static readonly (string, string)[] Covered = [(Gateways.LeftNet, Gateways.RightNet)];

    [Theory]
    [InlineData("trap")]
    [InlineData("start")]
    public void A_dead_peer_is_noticed_and_found_again(string action)
    {
        // Debian's configuration would wait for minutes; only that is shortened here.
        using CharonPair pair = CharonPair.Create(options: "retransmit_tries = 2\n  retransmit_timeout = 0.5\n  retransmit_base = 1");
        Play(pair, () =>
        {
            Load(pair, "dpd_delay = 1s;keyingtries = 0", $"dpd_action = {action};start_action = trap");
            pair.Net.LeftHost.Ping(Gateways.RightHostAddress, count: 5, interval: 0.2);
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            Wiretap tap = pair.Net.Watch();
            pair.Net.Wire.Ip("link set dev to-right down");
            pair.Left.WaitForLog("giving up after 2 retransmits");
            pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
            pair.Net.Wire.Ip("link set dev to-right up");
            pair.Net.LeftHost.PingsAgain(Gateways.RightHostAddress);
            tap.Stop().AssertNothingClear(Covered);
        });
    }

    [Theory]
    [InlineData("trap")]
    [InlineData("start")]
    public void A_close_action_brings_the_tunnel_back(string action)
    {
        using CharonPair pair = new();
        Play(pair, () =>
        {
            // The trap keeps the policy while there is no SA; without it nothing is covered in between, on any Linux.
            Load(pair, string.Empty, $"start_action = trap;close_action = {action}");
            pair.Left.Initiate("net");
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            Wiretap tap = pair.Net.Watch();
            pair.Right.TerminateChild("net");
            pair.Net.LeftHost.PingsAgain(Gateways.RightHostAddress);
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            tap.Stop().AssertNothingClear(Covered);
            pair.Left.Swanctl("--uninstall", "--child", "net");
        });
    }

    [Theory]
    [InlineData("no")]
    [InlineData("yes")]
    public void The_clients_address_may_change(string encap)
    {
        using CharonPair pair = new();
        Play(pair, () =>
        {
            // charon would as soon move to the other family while the address changes.
            pair.Net.Left.Sysctl("ipv6/conf/wan/disable_ipv6", "1");
            pair.Net.Right.Sysctl("ipv6/conf/wan/disable_ipv6", "1");
            pair.Left.Load(Swanctl.File(Swanctl.Connection("site", "%any", Gateways.RightAddress, $"encap = {encap}", Swanctl.Child("net", Gateways.LeftNet, Gateways.RightNet))));
            pair.Right.Load(Swanctl.File(Swanctl.Connection("site", Gateways.RightAddress, "%any", $"encap = {encap}", Swanctl.Child("net", Gateways.RightNet, Gateways.LeftNet))));
            pair.Left.Initiate("net");
            BackgroundProcess iperf = Iperf.StartTcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, 15, "-b", "10M");
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            Wiretap tap = pair.Net.Watch();
            pair.Net.Left.Sysctl("ipv4/conf/wan/promote_secondaries", "1");
            pair.Net.Left.Ip("addr add 192.0.2.77/24 dev wan\naddr del 192.0.2.1/24 dev wan");
            pair.Net.Left.Do(Toolbox.Find("ip"), "route", "replace", "default", "via", "192.0.2.2", "dev", "wan");
            pair.Net.LeftHost.PingsAgain(Gateways.RightHostAddress);   // from the new address
            Assert.Contains("192.0.2.77", pair.RightDaemon.IpXfrm(pair.Net.Right, "state"), StringComparison.Ordinal);
            Assert.DoesNotContain("192.0.2.1 ", pair.RightDaemon.IpXfrm(pair.Net.Right, "state"), StringComparison.Ordinal);
            pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
            Iperf.Finish(iperf, TimeSpan.FromSeconds(60));
            tap.Stop().AssertNothingClear(Covered);
        });
    }

    private static void Load(CharonPair pair, string connectionOptions, string leftOptions)
    {
        pair.Left.Load(Swanctl.File(Swanctl.Connection("site", Gateways.LeftAddress, Gateways.RightAddress, connectionOptions, Swanctl.Child("net", Gateways.LeftNet, Gateways.RightNet, leftOptions))));
        pair.Right.Load(Swanctl.File(Swanctl.Connection("site", Gateways.RightAddress, Gateways.LeftAddress, string.Empty, Swanctl.Child("net", Gateways.RightNet, Gateways.LeftNet))));
    }
}
