using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>Policies without SAs: the first packet makes charon start, and no packet ever passes unprotected.</summary>
public sealed class TrapTests(CharonPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<CharonPair>
{
    private static readonly (string, string)[] Covered = [(Gateways.LeftNet, Gateways.RightNet)];

    [Fact]
    public void The_first_ping_starts_the_tunnel() => Play(pair, () =>
    {
        LoadTrap(string.Empty);
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsAgain(Gateways.RightHostAddress);
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress, count: 6);
        pair.Left.WaitForLog("creating acquire job for policy");
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
        tap.Stop().AssertRawEsp(15).AssertNothingClear(Covered);
        Uninstall();
    });

    [Theory]
    [InlineData("tunnel")]
    [InlineData("transport")]
    public void A_tcp_connection_waits_for_the_tunnel(string mode) => Play(pair, () =>
    {
        bool tunnel = mode == "tunnel";
        LoadTrap($"mode = {mode}", tunnel);
        Wiretap tap = pair.Net.Watch();
        if (tunnel)
        {
            Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "3M");
        }
        else
        {
            Iperf.Tcp(pair.Net.Left, pair.Net.Right, Gateways.RightAddress, "3M");
        }
        tap.Stop().AssertRawEsp(15).AssertNothingClear(tunnel ? Covered : [(Gateways.LeftAddress, Gateways.RightAddress)]);
        Uninstall();
    });

    [Fact]
    public void Nothing_passes_while_the_peer_does_not_answer() => Play(pair, () =>
    {
        LoadTrap(string.Empty);
        pair.Right.Load(Swanctl.File());
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress, count: 5);
        pair.Net.Left.PingsInVain(Gateways.RightHostAddress);
        pair.Net.Left.PingsInVain(Gateways.RightHostAddress, from: Gateways.LeftLan);
        tap.Stop().AssertNothingClear(Covered);
        Uninstall();
    });

    [Fact]
    public void A_closed_tunnel_leaves_the_trap_and_comes_back() => Play(pair, () =>
    {
        LoadTrap(string.Empty);
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsAgain(Gateways.RightHostAddress);
        for (int round = 0; round < 2; round++)
        {
            pair.Right.Terminate("site");
            pair.Net.LeftHost.PingsAgain(Gateways.RightHostAddress);
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress, count: 6);
        }
        tap.Stop().AssertRawEsp(30).AssertNothingClear(Covered);
        Uninstall();
    });

    [Fact]
    public void A_shunt_lets_pass_or_drops() => Play(pair, () =>
    {
        pair.Left.Load(Swanctl.File(Swanctl.Connection("shunts", string.Empty, string.Empty, string.Empty,
            Swanctl.Child("drop", Gateways.LeftNet, "10.2.0.0/16", "mode = drop;start_action = trap"),
            Swanctl.Child("pass", Gateways.LeftHostAddress, Gateways.RightHostAddress, "mode = pass;start_action = trap"))
            .Replace("local_addrs = ", string.Empty, StringComparison.Ordinal).Replace("remote_addrs = ", string.Empty, StringComparison.Ordinal)));
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.LeftHost.PingsInVain(Gateways.RightLan);
        pair.Left.Swanctl("--uninstall", "--child", "drop").OrFail();
        pair.Left.Swanctl("--uninstall", "--child", "pass").OrFail();
        pair.Net.LeftHost.PingsThrough(Gateways.RightLan);
    });

    private void LoadTrap(string options, bool networks = true)
    {
        (string left, string right) = networks ? (Gateways.LeftNet, Gateways.RightNet) : (string.Empty, string.Empty);
        pair.Left.Load(Swanctl.File(Swanctl.Connection("site", Gateways.LeftAddress, Gateways.RightAddress, string.Empty, Swanctl.Child("net", left, right, $"start_action = trap;{options}"))));
        pair.Right.Load(Swanctl.File(Swanctl.Connection("site", Gateways.RightAddress, Gateways.LeftAddress, string.Empty, Swanctl.Child("net", right, left, options))));
    }

    private void Uninstall() => pair.Left.Load(Swanctl.File());
}
