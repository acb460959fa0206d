using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>
/// ICMP errors about protected packets come from addresses that no policy names. Policies and SAs with <c>flag icmp</c> carry them all the same, by the
/// packet that they quote: what the kernel's own selftests/net/xfrm_state.sh asks for.
/// </summary>
public sealed class IcmpErrorTests(ManualPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<ManualPair>
{
    private const string Target = "10.2.0.77", Target6 = "fd02::77";

    [Theory]
    [InlineData(false, false, true)]
    [InlineData(false, true, true)]
    [InlineData(true, false, true)]
    [InlineData(true, true, true)]
    [InlineData(false, false, false)]
    [InlineData(true, true, false)]
    public void An_error_goes_through_the_tunnel_where_its_policy_says_so(bool ipv6, bool fromBehind, bool flagged) => Play(pair, () =>
    {
        (string target, string leftNet, string host) = ipv6
            ? (Target6 + "/128", Gateways.LeftNet6, Gateways.LeftHostAddress6)
            : (Target + "/32", Gateways.LeftNet, Gateways.LeftHostAddress);
        string source = (ipv6, fromBehind) switch
        {
            (false, false) => Gateways.RightAddress,
            (false, true) => Gateways.RightHostAddress,
            (true, false) => Gateways.RightLan6,   // nearest to a host of fd01::/64 (RFC 6724)
            (true, true) => Gateways.RightHostAddress6,
        };
        Host refuses = fromBehind ? pair.Net.RightHost : pair.Net.Right;
        refuses.Sysctl("ipv4/ip_forward", "1");
        refuses.Sysctl("ipv6/conf/all/forwarding", "1");
        refuses.Ip($"route replace unreachable {target}");
        if (fromBehind)
        {
            pair.Net.Right.Ip($"route replace {target} via {source}");
        }
        Install(leftNet, target, flagged ? "flag icmp" : string.Empty);

        IReadOnlyDictionary<string, long> before = pair.LeftDaemon.Counters(pair.Net.Left);
        Wiretap tap = pair.Net.Watch();
        PingResult ping = pair.Net.LeftHost.Ping(target.Split('/')[0], count: 2, interval: 0.3, wait: 0.5);
        WireReport report = tap.Stop();
        // One that comes in clear is forged, for all that the gateway knows: its forward policy covers what is quoted.
        long refused = pair.LeftDaemon.Counters(pair.Net.Left).GetValueOrDefault("XfrmInTmplMismatch") - before.GetValueOrDefault("XfrmInTmplMismatch");
        bool inClear = report.Clear.Any(packet => packet.Source?.ToString() == source && packet.Destination?.ToString() == host);
        Assert.Equal((flagged, !flagged, !flagged), (ping.Text.Contains($"From {source} ", StringComparison.Ordinal), inClear, refused > 0));
        Assert.True(report.RawEsp >= (flagged ? 4 : 2), $"{report.RawEsp} ESP packets");

        pair.Flush();
        refuses.Ip($"route del unreachable {target}");
        if (fromBehind)
        {
            pair.Net.Right.Ip($"route del {target} via {source}");
        }
    });

    [Fact]
    public void A_sender_is_told_less_than_1280_where_the_tunnel_takes_less_and_1280_pass() => Play(pair, () =>
    {
        const int Headers = 48;
        Install(Gateways.LeftNet6, Gateways.RightNet6, string.Empty, Gateways.LeftAddress6, Gateways.RightAddress6);
        pair.Net.Left.Ip($"route replace {Gateways.RightAddress6}/128 dev wan mtu 1300");
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress6);
        PingResult ping = pair.Net.LeftHost.Ping(Gateways.RightHostAddress6, count: 1, size: 1400 - Headers, dontFragment: true, wait: 1);
        Assert.Contains($"From {Gateways.LeftLan6} ", ping.Text, StringComparison.Ordinal);
        Assert.Contains("mtu=1226", ping.Text, StringComparison.Ordinal);   // 1300 less 40, 8, 8 and 16, to a multiple of 4, less 2
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress6, size: 1280 - Headers);
        pair.Net.Left.Ip($"route del {Gateways.RightAddress6}/128 dev wan");
        pair.Flush();
    });

    private void Install(string leftNet, string rightNet, string flag, string left = Gateways.LeftAddress, string right = Gateways.RightAddress)
    {
        string States(string own) => string.Concat(new[] { (left, right, leftNet, rightNet), (right, left, rightNet, leftNet) }.Select((ends, index) =>
            $"state add src {ends.Item1} dst {ends.Item2} proto esp spi {index + 1} reqid {index + 1} mode tunnel {(ends.Item2 == own ? flag : string.Empty)} {ManualPair.Gcm128} " +
            $"sel src {ends.Item3} dst {ends.Item4}\n"));
        string Policy(string source, string destination, string direction, int index, string ends) =>
            $"policy add src {source} dst {destination} dir {direction} {flag} tmpl {ends} proto esp reqid {index} mode tunnel\n";
        string toRight = $"src {left} dst {right}", toLeft = $"src {right} dst {left}";
        pair.LeftDaemon.IpXfrmBatch(pair.Net.Left, States(left) + Policy(leftNet, rightNet, "out", 1, toRight) + Policy(rightNet, leftNet, "fwd", 2, toLeft));
        pair.RightDaemon.IpXfrmBatch(pair.Net.Right, States(right) + Policy(rightNet, leftNet, "out", 2, toLeft) + Policy(leftNet, rightNet, "fwd", 1, toRight));
    }
}
