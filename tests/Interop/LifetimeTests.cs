using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>SAs come and go while traffic flows.</summary>
public sealed class LifetimeTests(CharonPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<CharonPair>
{
    private static readonly (string, string)[] Covered = [(Gateways.LeftNet, Gateways.RightNet)];

    [Theory]
    [InlineData("rekey_time = 3s;life_time = 9s;rand_time = 0s", "")]
    [InlineData("rekey_packets = 3000;life_packets = 30000;rand_packets = 0", "")]
    [InlineData("rekey_bytes = 4000000;life_bytes = 40000000;rand_bytes = 0", "")]
    [InlineData("", "rekey_time = 4s;over_time = 20s;rand_time = 0s")]
    [InlineData("rekey_time = 3s;life_time = 9s;rand_time = 0s", "encap = yes")]
    public void Rekeying_loses_no_connection(string childOptions, string connectionOptions) => Play(pair, () =>
    {
        // One side rekeys: where both do at once, charon 5.9.8 takes an answer for a second request of the same number, ignores it, and only
        // its retransmission, seconds later, mends that.
        pair.Left.Load(Swanctl.File(Swanctl.Connection(
            "site", Gateways.LeftAddress, Gateways.RightAddress, connectionOptions, Swanctl.Child("net", Gateways.LeftNet, Gateways.RightNet, childOptions))));
        pair.Right.Load(Swanctl.File(Swanctl.Connection(
            "site", Gateways.RightAddress, Gateways.LeftAddress, string.Empty, Swanctl.Child("net", Gateways.RightNet, Gateways.LeftNet, "rekey_time = 0s"))));
        pair.Left.Initiate("net");
        int before = Rekeyings();
        Wiretap tap = pair.Net.Watch();
        BackgroundProcess iperf = Iperf.StartTcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, 12, "-b", "20M", "--bidir");
        PingResult ping = pair.Net.RightHost.Ping(Gateways.LeftHostAddress, count: 100, interval: 0.1);
        IperfReport report = Iperf.Finish(iperf, TimeSpan.FromSeconds(60));
        Assert.True(report.Bytes > 10_000_000, $"only {report.Bytes} octets passed");
        Assert.True(ping.Received >= ping.Sent - 1, $"echoes were lost:\n{ping.Text}");
        Assert.True(Rekeyings() - before >= 2, $"{Rekeyings() - before} rekeyings; at least two expected");
        tap.Stop().AssertNothingClear(Covered);
    });

    [Fact]
    public void A_hard_limit_ends_the_sa_and_nothing_passes_in_clear() => Play(pair, () =>
    {
        // No rekeying, and the trap keeps the policy: what is covered waits for new keys.
        const string Options = "start_action = trap;rekey_time = 0s;life_time = 3s;rekey_packets = 0;life_packets = 0";
        pair.Left.Load(Swanctl.File(Swanctl.Connection("site", Gateways.LeftAddress, Gateways.RightAddress, string.Empty, Swanctl.Child("net", Gateways.LeftNet, Gateways.RightNet, Options))));
        pair.Right.Load(Swanctl.File(Swanctl.Connection("site", Gateways.RightAddress, Gateways.LeftAddress, string.Empty, Swanctl.Child("net", Gateways.RightNet, Gateways.LeftNet))));
        Wiretap tap = pair.Net.Watch();
        PingResult ping = pair.Net.LeftHost.Ping(Gateways.RightHostAddress, count: 80, interval: 0.1);
        Assert.True(ping.Received >= 40, ping.Text);
        Assert.True(pair.Left.CountInLog("creating acquire job|creating delete job|CHILD_SA closed|closing CHILD_SA") >= 2);
        tap.Stop().AssertRawEsp(60).AssertNothingClear(Covered);
        pair.Left.Swanctl("--uninstall", "--child", "net");
    });

    private int Rekeyings() => pair.Left.CountInLog(@"CHILD_SA net\{\d+\} established") + pair.Left.CountInLog(@"IKE_SA site\[\d+\] rekeyed");
}
