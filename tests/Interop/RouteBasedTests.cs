using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>Route-based VPN: interfaces of kind xfrm, which the kernel beneath may lack, and connections with an if_id.</summary>
[Collection(Alone.Name)]
public sealed class RouteBasedTests(CharonPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<CharonPair>
{
    private const string IfIds = "if_id_in = 42;if_id_out = 42";
    private static readonly (string, string)[] Covered = [(Gateways.LeftNet, Gateways.RightNet)];

    [Fact]
    public void What_is_routed_into_the_interface_is_protected_and_nothing_else() => Play(pair, () =>
    {
        AddLink(pair.LeftDaemon, pair.Net.Left, "ipsec-a", Gateways.RightNet);
        AddLink(pair.RightDaemon, pair.Net.Right, "ipsec-a", Gateways.LeftNet);
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty, ("any", "0.0.0.0/0", "0.0.0.0/0", IfIds));
        pair.Left.Initiate("any");
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 1333);
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "5M");
        pair.Left.Swanctl("--rekey", "--child", "any").OrFail();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        tap.Stop().AssertRawEsp(18).AssertNothingClear(Covered);
        // The policies cover everything, but only behind their interface: the gateways speak in clear to each other.
        pair.Net.Left.PingsThrough(Gateways.RightAddress);

        Ip(pair.LeftDaemon, pair.Net.Left, "link set ipsec-a down");
        pair.Net.Left.PingsInVain(Gateways.RightHostAddress, from: Gateways.LeftLan);
        Ip(pair.LeftDaemon, pair.Net.Left, "link del ipsec-a");
        Ip(pair.RightDaemon, pair.Net.Right, "link del ipsec-a");
        Assert.DoesNotContain("ipsec-a", pair.Net.Left.Do(Toolbox.Find("ip"), "-br", "link"), StringComparison.Ordinal);
        // And it may come again, under another name, for SAs that are there.
        AddLink(pair.LeftDaemon, pair.Net.Left, "ipsec-b", Gateways.RightNet);
        AddLink(pair.RightDaemon, pair.Net.Right, "ipsec-b", Gateways.LeftNet);
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        Ip(pair.LeftDaemon, pair.Net.Left, "link del ipsec-b");
        Ip(pair.RightDaemon, pair.Net.Right, "link del ipsec-b");
    });

    [Fact]
    public void A_link_behaves_as_one_of_the_kernels()
    {
        Ip(pair.LeftDaemon, pair.Net.Left, "link add xfrm7 mtu 1380 type xfrm dev wan if_id 7");
        Assert.Contains("mtu 1380", pair.Net.Left.Do(Toolbox.Find("ip"), "link", "show", "xfrm7"), StringComparison.Ordinal);
        string[] shown = [Toolbox.Find("ip"), "-d", "link", "show", "type", "xfrm"];
        Assert.Matches("xfrm7@wan: (.|\n)* xfrm if_id 0x7 ", pair.Net.Left.Do(pair.LeftDaemon.Attached(shown)));
        Assert.Contains("tun type tun", pair.Net.Left.Do(Toolbox.Find("ip"), "-d", "link", "show", "xfrm7"), StringComparison.Ordinal);   // to who is not attached
        foreach ((string request, string answer) in new[]
        {
            ("link add xfrm7 type xfrm if_id 8", "File exists"), ("link add xfrm8 type xfrm if_id 7", "File exists"),
            ("link del xfrm8", "Cannot find device"), ("link add xfrm9 type nothing", "Unknown device type"),
        })
        {
            CommandResult result = pair.Net.Left.Run(pair.LeftDaemon.Attached([Toolbox.Find("ip"), .. request.Split(' ')]));
            Assert.True(result.ExitCode != 0 && result.Errors.Contains(answer, StringComparison.Ordinal), $"{request}: {result.ExitCode} {result.Errors}");
        }
        // Deleted by a program that is not attached: the number is free again.
        pair.Net.Left.Ip("link del xfrm7");
        Wait.Until(
            () => pair.Net.Left.Run(pair.LeftDaemon.Attached(Toolbox.Find("ip"), "link", "add", "xfrm8", "type", "xfrm", "if_id", "7")).ExitCode == 0,
            "the if_id of a deleted interface is free");
        Ip(pair.LeftDaemon, pair.Net.Left, "link del xfrm8");
        Assert.Empty(pair.Net.Left.Do(pair.LeftDaemon.Attached(shown)));
    }

    private static void AddLink(XfrmdDaemon daemon, Host host, string name, string network)
    {
        Ip(daemon, host, $"link add {name} type xfrm dev wan if_id 42");
        Ip(daemon, host, $"link set {name} up");
        Ip(daemon, host, $"route replace {network} dev {name}");
    }

    private static void Ip(XfrmdDaemon daemon, Host host, string arguments) =>
        host.Do(daemon.Attached([Toolbox.Find("ip"), .. arguments.Split(' ')]));
}
