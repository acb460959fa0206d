using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>Two unmodified charons, networks behind both.</summary>
[Collection(Alone.Name)]
public sealed class SiteToSiteTests(CharonPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<CharonPair>
{
    private static readonly (string, string)[] Covered = [(Gateways.LeftNet, Gateways.RightNet)];

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Each_family_goes_in_each(bool inner6, bool outer6) => Play(pair, () =>
    {
        (string leftNet, string rightNet) = inner6 ? (Gateways.LeftNet6, Gateways.RightNet6) : (Gateways.LeftNet, Gateways.RightNet);
        pair.Load(
            outer6 ? Gateways.LeftAddress6 : Gateways.LeftAddress, outer6 ? Gateways.RightAddress6 : Gateways.RightAddress, string.Empty,
            ("net", leftNet, rightNet, string.Empty));
        pair.Left.Initiate("net");
        Wiretap tap = pair.Net.Watch();
        string leftHost = inner6 ? Gateways.LeftHostAddress6 : Gateways.LeftHostAddress, rightHost = inner6 ? Gateways.RightHostAddress6 : Gateways.RightHostAddress;
        pair.Net.LeftHost.PingsThrough(rightHost);
        pair.Net.RightHost.PingsThrough(leftHost);
        // The gateways themselves, from the address that charon's route chooses and from the one that is named.
        pair.Net.Left.PingsThrough(rightHost);
        pair.Net.Right.PingsThrough(leftHost, from: inner6 ? Gateways.RightLan6 : Gateways.RightLan);
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, rightHost);
        Iperf.Tcp(pair.Net.RightHost, pair.Net.LeftHost, leftHost);
        tap.Stop().AssertRawEsp(24).AssertNothingClear((leftNet, rightNet));
    });

    [Theory]
    [InlineData("aes128gcm16")]
    [InlineData("aes192gcm16")]
    [InlineData("aes256gcm16")]
    [InlineData("aes128gcm12")]
    [InlineData("aes256gcm12")]
    [InlineData("aes128gcm8")]
    [InlineData("aes256gcm8")]
    [InlineData("aes128-sha1")]
    [InlineData("aes128-sha256")]
    [InlineData("aes192-sha384")]
    [InlineData("aes256-sha512")]
    [InlineData("chacha20poly1305")]
    [InlineData("aes128gcm16-esn")]
    [InlineData("aes256-sha256-esn")]
    [InlineData("chacha20poly1305-esn")]
    public void Each_proposal_carries_traffic(string proposal) => Carries($"esp_proposals = {proposal}");

    [Theory]
    [InlineData(0, "noesn")]
    [InlineData(1, "noesn")]
    [InlineData(32, "esn")]
    [InlineData(64, "noesn")]
    [InlineData(128, "esn")]
    [InlineData(1024, "noesn")]
    [InlineData(4096, "esn")]
    public void Each_replay_window_lets_good_packets_pass(int window, string esn) =>
        Carries($"esp_proposals = aes128gcm16-{esn};replay_window = {window}");

    [Fact]
    public void Forced_encapsulation_goes_over_port_4500() => Play(pair, () =>
    {
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, "encap = yes", ("net", Gateways.LeftNet, Gateways.RightNet, string.Empty));
        pair.Left.Initiate("net");
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 1300);
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress);
        tap.Stop().AssertUdpEsp(12).AssertNothingClear(Covered);
        // IKE goes on beside it on the same port.
        pair.Left.Swanctl("--rekey", "--ike", "site").OrFail();
        pair.Left.WaitForLog(@"rekeyed IKE_SA|IKE_SA site\[\d+\] rekeyed");
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
    });

    [Fact]
    public void Forced_encapsulation_works_over_ipv6() => Play(pair, () =>
    {
        pair.Load(Gateways.LeftAddress6, Gateways.RightAddress6, "encap = yes", ("net", Gateways.LeftNet6, Gateways.RightNet6, string.Empty));
        pair.Left.Initiate("net");
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress6);
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress6, "5M");
        tap.Stop().AssertUdpEsp(6).AssertNothingClear((Gateways.LeftNet6, Gateways.RightNet6));
    });

    [Fact]
    public void Several_tunnels_live_side_by_side() => Play(pair, () =>
    {
        pair.Net.Left.Ip("addr add 10.1.200.1/32 dev lo");
        pair.Net.Right.Ip("addr add 10.2.200.1/32 dev lo");
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty,
            ("lower", "10.1.0.0/25", "10.2.0.0/25", "esp_proposals = aes128gcm16"),
            ("upper", "10.1.200.0/24", "10.2.200.0/24", "esp_proposals = aes256-sha256"),
            ("six", Gateways.LeftNet6, Gateways.RightNet6, "esp_proposals = chacha20poly1305"));
        Wiretap tap = pair.Net.Watch();
        pair.Left.Initiate("lower");
        pair.Right.Initiate("upper");
        pair.Left.Initiate("six");
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.Left.PingsThrough("10.2.200.1", from: "10.1.200.1");
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress6);
        WireReport report = tap.Stop().AssertRawEsp(18).AssertNothingClear(("10.1.0.0/25", "10.2.0.0/25"), ("10.1.200.0/24", "10.2.200.0/24"), (Gateways.LeftNet6, Gateways.RightNet6));
        Assert.Equal(6, report.Protected.Where(packet => packet.Protocol == CapturedPacket.Esp).Select(packet => packet.Spi).Distinct().Count());
        // Ending one leaves the others alone.
        pair.Left.TerminateChild("upper");
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress6);
        pair.Net.Left.Ip("addr del 10.1.200.1/32 dev lo");
        pair.Net.Right.Ip("addr del 10.2.200.1/32 dev lo");
    });

    [Fact]
    public void Selectors_may_name_a_protocol_and_ports() => Play(pair, () =>
    {
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty, ("iperf", "10.1.0.0/16[tcp]", "10.2.0.0/16[tcp/5201]", string.Empty));
        pair.Left.Initiate("iperf");
        Wiretap tap = pair.Net.Watch();
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "5M");
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        WireReport report = tap.Stop().AssertRawEsp(12);
        Assert.DoesNotContain(report.Clear, packet => packet.Protocol == 6);
        Assert.Contains(report.Clear, packet => packet.Protocol == 1 && packet.Destination?.ToString() == Gateways.RightHostAddress);
    });

    [Fact]
    public void Everything_may_go_to_the_peer() => Play(pair, () =>
    {
        // The peer itself lies in 0.0.0.0/0: ESP and IKE to it must not go into the tunnel again. The network behind the gateway lies in it
        // too: a shunt excepts it, as on any Linux gateway.
        pair.Right.Load(Swanctl.File(Swanctl.Connection("site", Gateways.RightAddress, Gateways.LeftAddress, string.Empty, Swanctl.Child("all", "0.0.0.0/0", Gateways.LeftNet))));
        pair.Left.Load(Swanctl.File(Swanctl.Connection("site", Gateways.LeftAddress, Gateways.RightAddress, string.Empty,
            Swanctl.Child("all", Gateways.LeftNet, "0.0.0.0/0"), Swanctl.Child("lan", Gateways.LeftNet, Gateways.LeftNet, "mode = pass;start_action = trap"))));
        pair.Left.Initiate("all");
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.LeftHost.PingsThrough(Gateways.RightAddress);
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "5M");
        tap.Stop().AssertRawEsp(18).AssertNothingClear((Gateways.LeftNet, "0.0.0.0/0"));
        pair.Net.LeftHost.PingsThrough(Gateways.LeftLan);
        pair.Left.Swanctl("--rekey", "--child", "all").OrFail();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Left.Swanctl("--uninstall", "--child", "lan").OrFail();
    });

    [Theory]
    [InlineData("tunnel", false)]
    [InlineData("transport", false)]
    [InlineData("tunnel", true)]
    [InlineData("transport", true)]
    public void Two_hosts_protect_what_they_say_to_each_other(string mode, bool outer6) => Play(pair, () =>
    {
        (string left, string right) = outer6 ? (Gateways.LeftAddress6, Gateways.RightAddress6) : (Gateways.LeftAddress, Gateways.RightAddress);
        pair.Load(left, right, string.Empty, ("host", string.Empty, string.Empty, $"mode = {mode}"));
        pair.Left.Initiate("host");
        Wiretap tap = pair.Net.Watch();
        pair.Net.Left.PingsThrough(right);
        pair.Net.Right.PingsThrough(left, size: 1300);
        Iperf.Tcp(pair.Net.Left, pair.Net.Right, right);
        tap.Stop().AssertRawEsp(12).AssertNothingClear((left, right));
        pair.Left.Swanctl("--rekey", "--child", "host").OrFail();
        pair.Net.Left.PingsThrough(right);
    });

    [Fact]
    public void Transport_mode_goes_over_port_4500_too() => Play(pair, () =>
    {
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, "encap = yes", ("host", string.Empty, string.Empty, "mode = transport"));
        pair.Left.Initiate("host");
        Wiretap tap = pair.Net.Watch();
        pair.Net.Left.PingsThrough(Gateways.RightAddress);
        Iperf.Tcp(pair.Net.Right, pair.Net.Left, Gateways.LeftAddress, "5M");
        tap.Stop().AssertUdpEsp(6).AssertNothingClear((Gateways.LeftAddress, Gateways.RightAddress));
    });

    private void Carries(string childOptions) => Play(pair, () =>
    {
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty, ("net", Gateways.LeftNet, Gateways.RightNet, childOptions));
        pair.Left.Initiate("net");
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 1333);
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "3M");
        tap.Stop().AssertRawEsp(12).AssertNothingClear(Covered);
    });
}
