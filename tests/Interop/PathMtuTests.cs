using System.Globalization;
using System.Text.RegularExpressions;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>What ESP adds does not fit into 1500 octets: senders are told, or the packet is cut.</summary>
[Collection(Alone.Name)]
public sealed partial class PathMtuTests(CharonPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<CharonPair>
{
    private const int Ip4Overhead = 28, Ip6Overhead = 48;

    [Theory]
    [InlineData("no", false)]
    [InlineData("yes", false)]
    [InlineData("no", true)]
    public void A_1500_octet_path_works_for_all(string encap, bool inner6) => Play(pair, () =>
    {
        (string leftNet, string rightNet) = inner6 ? (Gateways.LeftNet6, Gateways.RightNet6) : (Gateways.LeftNet, Gateways.RightNet);
        (string leftHost, string rightHost) = inner6 ? (Gateways.LeftHostAddress6, Gateways.RightHostAddress6) : (Gateways.LeftHostAddress, Gateways.RightHostAddress);
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, $"encap = {encap}", ("net", leftNet, rightNet, string.Empty));
        pair.Left.Initiate("net");
        Wiretap tap = pair.Net.Watch();
        ForgetLearnedMtus();
        // With DF a packet of 1500 octets does not go through, and its sender learns what would.
        int mtu = LearnedMtu(pair.Net.LeftHost, rightHost, 1500 - (inner6 ? Ip6Overhead : Ip4Overhead), by: inner6 ? Gateways.LeftLan6 : Gateways.LeftLan);
        Assert.InRange(mtu, 1350, 1470);
        pair.Net.LeftHost.PingsThrough(rightHost, size: mtu - (inner6 ? Ip6Overhead : Ip4Overhead), dontFragment: true);
        // The gateway's own sends are told at once or by ICMP.
        int own = LearnedMtu(pair.Net.Right, leftHost, 1500 - (inner6 ? Ip6Overhead : Ip4Overhead));
        Assert.InRange(own, 1350, 1470);
        // Without DF everything passes, in pieces. Over IPv6 the one that answers must first learn how large these may be.
        pair.Net.LeftHost.Ping(rightHost, count: 1, size: 1472);
        pair.Net.RightHost.Ping(leftHost, count: 1, size: 6000);
        pair.Net.LeftHost.PingsThrough(rightHost, size: 1472);
        pair.Net.RightHost.PingsThrough(leftHost, size: 6000);
        IperfReport udp = Iperf.Udp(pair.Net.LeftHost, pair.Net.RightHost, rightHost, 8000, "2M");
        Assert.True(udp.LostPackets == 0, $"{udp.LostPackets} of {udp.Packets} large datagrams were lost");
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, rightHost, "10M");
        Iperf.Tcp(pair.Net.RightHost, pair.Net.Left, inner6 ? Gateways.LeftLan6 : Gateways.LeftLan, "10M");
        tap.Stop().AssertNothingClear((leftNet, rightNet));
    });

    [Fact]
    public void Transport_mode_tells_its_sender_too() => Play(pair, () =>
    {
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty, ("host", string.Empty, string.Empty, "mode = transport"));
        pair.Left.Initiate("host");
        ForgetLearnedMtus();
        int mtu = LearnedMtu(pair.Net.Left, Gateways.RightAddress, 1472);
        Assert.InRange(mtu, 1350, 1480);
        pair.Net.Left.PingsThrough(Gateways.RightAddress, size: mtu - Ip4Overhead, dontFragment: true);
        pair.Net.Left.PingsThrough(Gateways.RightAddress, size: 6000);
        Iperf.Tcp(pair.Net.Right, pair.Net.Left, Gateways.LeftAddress, "10M");
    });

    [Theory]
    [InlineData("tunnel", "encap = no", "")]
    [InlineData("tunnel", "encap = yes", "")]
    [InlineData("transport", "encap = no", "")]
    [InlineData("transport", "encap = yes", "")]
    [InlineData("tunnel", "", "ah_proposals = sha256")]
    [InlineData("transport", "", "ah_proposals = sha256")]
    public void The_gateways_own_first_large_ipv6_datagram_passes(string mode, string connectionOptions, string childOptions) => Play(pair, () =>
    {
        bool tunnel = mode == "tunnel";
        pair.Load(Gateways.LeftAddress6, Gateways.RightAddress6, connectionOptions, ("net", tunnel ? Gateways.LeftNet6 : string.Empty, tunnel ? Gateways.RightNet6 : string.Empty, $"mode = {mode};{childOptions}"));
        pair.Left.Initiate("net");
        ForgetLearnedMtus();
        (string left, string right) = tunnel ? (Gateways.LeftLan6, Gateways.RightLan6) : (Gateways.LeftAddress6, Gateways.RightAddress6);
        pair.Net.Left.PingsThrough(right, count: 1, size: 4000, from: left);
        pair.Net.Right.PingsThrough(left, count: 1, size: 6000, from: right);
        Iperf.Udp(pair.Net.Left, pair.Net.Right, right, 3000, "4M");
    });

    private void ForgetLearnedMtus()
    {
        foreach (Host host in new[] { pair.Net.LeftHost, pair.Net.Left, pair.Net.Right, pair.Net.RightHost })
        {
            host.Do(Toolbox.Find("ip"), "route", "flush", "cache");
            host.Do(Toolbox.Find("ip"), "-6", "route", "flush", "cache");
        }
    }

    private static int LearnedMtu(Host host, string address, int size, string? by = null)
    {
        PingResult ping = host.Ping(address, count: 3, size: size, dontFragment: true, interval: 0.3, wait: 0.5);
        Assert.True(ping.Received == 0, $"a packet of 1500 octets with DF passed:\n{ping.Text}");
        Match told = ToldMtu().Match(ping.Text);
        Assert.True(told.Success, $"{host.Name} was not told the path's MTU:\n{ping.Text}");
        Assert.True(by is null || ping.Text.Contains($"From {by} ", StringComparison.Ordinal), $"it was not its gateway that told:\n{ping.Text}");
        return int.Parse(told.Groups[1].Value, CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"mtu\s*[=:]\s*(\d+)", RegexOptions.IgnoreCase)]
    private static partial Regex ToldMtu();
}
