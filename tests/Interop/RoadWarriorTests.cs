using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>A client with a virtual address: on the open net, and behind a NAT.</summary>
[Collection(Alone.Name)]
public sealed class RoadWarriorTests(ITestOutputHelper output) : Scenario(output)
{
    private const string VirtualAddress = "10.3.0.1", Pool = "  pool {\n    addrs = 10.3.0.0/24\n  }\n";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_virtual_address_reaches_the_network_behind_the_gateway(bool nat)
    {
        using CharonPair pair = CharonPair.Create(nat ? Middle.Nat : Middle.Bridge);
        Play(pair, () =>
        {
            LoadRoadWarrior(pair, Gateways.RightNet);
            Wiretap tap = pair.Net.Watch();
            pair.Left.Initiate("home");
            Assert.Contains(VirtualAddress, pair.Net.Left.Do(Toolbox.Find("ip"), "addr"), StringComparison.Ordinal);
            pair.Net.Left.PingsThrough(Gateways.RightHostAddress);
            pair.Net.Left.PingsThrough(Gateways.RightLan);
            pair.Net.RightHost.PingsThrough(VirtualAddress);
            Iperf.Tcp(pair.Net.Left, pair.Net.RightHost, Gateways.RightHostAddress);
            WireReport report = tap.Stop().AssertNothingClear((VirtualAddress, "0.0.0.0/0"), ("10.9.0.0/24", Gateways.RightNet), (Gateways.NatAddress, Gateways.RightNet));
            _ = nat ? report.AssertUdpEsp(18) : report.AssertRawEsp(18);
            pair.Left.Swanctl("--rekey", "--child", "home").OrFail();
            pair.Net.Left.PingsThrough(Gateways.RightHostAddress);
        });
        Assert.DoesNotContain(VirtualAddress, pair.Net.Left.Do(Toolbox.Find("ip"), "addr"), StringComparison.Ordinal);
    }

    [Fact]
    public void All_of_the_clients_traffic_may_go_through_the_gateway()
    {
        using CharonPair pair = CharonPair.Create(Middle.Nat);
        Play(pair, () =>
        {
            LoadRoadWarrior(pair, "0.0.0.0/0");
            pair.Left.Initiate("home");
            Wiretap tap = pair.Net.Watch();
            pair.Net.Left.PingsThrough(Gateways.RightHostAddress);
            pair.Net.Left.PingsThrough(Gateways.RightAddress);
            Iperf.Tcp(pair.Net.Left, pair.Net.RightHost, Gateways.RightHostAddress, "5M");
            tap.Stop().AssertUdpEsp(12).AssertNothingClear((VirtualAddress, "0.0.0.0/0"), (Gateways.NatAddress, "0.0.0.0/0"));
        });
    }

    [Fact]
    public void Networks_behind_a_nat_are_joined()
    {
        using CharonPair pair = CharonPair.Create(Middle.Nat);
        Play(pair, () =>
        {
            LoadSite(pair, string.Empty);
            pair.Left.Initiate("net");
            Wiretap tap = pair.Net.Watch();
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
            Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "5M");
            Iperf.Tcp(pair.Net.RightHost, pair.Net.LeftHost, Gateways.LeftHostAddress, "5M");
            tap.Stop().AssertUdpEsp(12).AssertNothingClear((Gateways.LeftNet, Gateways.RightNet));
        });
    }

    [Fact]
    public void A_nat_that_forgets_its_mapping_is_followed()
    {
        using CharonPair pair = CharonPair.Create(Middle.Nat);
        Play(pair, () =>
        {
            LoadSite(pair, string.Empty);
            pair.Left.Initiate("net");
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            // From now on the router gives other ports, and has forgotten the old one.
            pair.Net.Wire.Do(Toolbox.Find("nft"), "flush", "ruleset");
            pair.Net.Nft("add table ip nat\nadd chain ip nat post { type nat hook postrouting priority 100; }\nadd rule ip nat post oifname \"to-right\" ip protocol udp masquerade to :20000-30000");
            pair.Net.Wire.Shell("command -v conntrack >/dev/null && conntrack -F 2>/dev/null; true");
            pair.Net.Wire.Ip("link set dev to-right down");
            pair.Net.Wire.Ip("link set dev to-right up");
            pair.Net.LeftHost.PingsAgain(Gateways.RightHostAddress);
            pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
            Assert.Matches(@"type espinudp sport 4500 dport 2\d\d\d\d", pair.RightDaemon.IpXfrm(pair.Net.Right, "state"));
        });
    }

    private static void LoadSite(CharonPair pair, string options)
    {
        pair.Left.Load(Swanctl.File(Swanctl.Connection("site", "%any", Gateways.RightAddress, options, Swanctl.Child("net", Gateways.LeftNet, Gateways.RightNet))));
        pair.Right.Load(Swanctl.File(Swanctl.Connection("site", Gateways.RightAddress, "%any", options, Swanctl.Child("net", Gateways.RightNet, Gateways.LeftNet))));
    }

    private static void LoadRoadWarrior(CharonPair pair, string remote)
    {
        pair.Left.Load(Swanctl.File(Swanctl.Connection("home", "%any", Gateways.RightAddress, "vips = 0.0.0.0", Swanctl.Child("home", string.Empty, remote))));
        pair.Right.Load(Swanctl.FileWithPools(Pool, Swanctl.Connection("rw", Gateways.RightAddress, "%any", "pools = pool", Swanctl.Child("rw", remote, string.Empty))));
    }
}
