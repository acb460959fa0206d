using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>A router between the gateways, whose next link takes 1280 octets from some moment on: nothing that runs stops.</summary>
public sealed class NarrowPathTests(NarrowPathTests.RoutedPair routed, ITestOutputHelper output) : Scenario(output), IClassFixture<NarrowPathTests.RoutedPair>
{
    private const int Seconds = 8, Narrow = 1280;
    private readonly CharonPair _pair = routed.Pair;

    public static TheoryData<string, string, bool> Tunnels => new()
    {
        { "raw", "tunnel", false }, { "raw", "tunnel", true }, { "UDP", "tunnel", false }, { "raw", "transport", false }, { "UDP", "transport", true },
    };

    [Theory, MemberData(nameof(Tunnels))]
    public void Tcp_goes_on_when_the_path_becomes_narrow(string encapsulation, string mode, bool outer6) => Play(_pair, () =>
    {
        Widen();
        (Host from, Host to, string address, string back) = Establish(encapsulation, mode, outer6);
        BackgroundProcess there = Iperf.StartTcpOn(5301, from, to, address, Seconds, "-b", "30M"), here = Iperf.StartTcpOn(5302, from, to, address, Seconds, "-b", "30M", "-R");
        Wait.Seconds(2);
        Restrict();
        IperfReport forth = Iperf.Finish(there, TimeSpan.FromSeconds(60)), reverse = Iperf.Finish(here, TimeSpan.FromSeconds(60));
        // A second may be lost to the change itself; from then on they carry a good part of what they carried before.
        Assert.All([forth, reverse], report => AssertGoesOn(report, Seconds - 4));
        // Large datagrams, in pieces.
        from.Ping(address, count: 2, size: 4000);
        from.PingsThrough(address, size: 4000);
        to.Ping(back, count: 2, size: 4000);
        to.PingsThrough(back, size: 4000);
        Widen();
    });

    [Fact]
    public void Without_icmp_tcp_that_probes_goes_on() => Play(_pair, () =>
    {
        // As far as Linux survives that: senders that probe (RFC 4821), and what has no DF.
        Widen();
        (Host from, Host to, string address, _) = Establish("raw", "tunnel", outer6: false);
        from.Sysctl("ipv4/tcp_mtu_probing", "1");
        to.Sysctl("ipv4/tcp_mtu_probing", "1");
        _pair.Net.Nft("add table inet mute\nadd chain inet mute out { type filter hook output priority 0; }\nadd rule inet mute out icmp type destination-unreachable drop");
        BackgroundProcess there = Iperf.StartTcpOn(5301, from, to, address, 15, "-b", "20M");
        Wait.Seconds(2);
        Restrict();
        IperfReport report = Iperf.Finish(there, TimeSpan.FromSeconds(60));
        AssertGoesOn(report, 5);
        from.PingsThrough(address, size: 3000);
        _pair.Net.Nft("delete table inet mute");
        Widen();
    });

    /// <summary>Much has passed in the last seconds; a black hole would have let nothing through.</summary>
    private static void AssertGoesOn(IperfReport report, int seconds) =>
        Assert.True(report.Intervals.TakeLast(seconds).Sum() > seconds * 500_000L, $"octets by second: {string.Join(' ', report.Intervals)}");

    private (Host From, Host To, string Address, string Back) Establish(string encapsulation, string mode, bool outer6)
    {
        string left = outer6 ? Gateways.LeftBehindRouter6 : Gateways.LeftBehindNat, right = outer6 ? Gateways.RightAddress6 : Gateways.RightAddress;
        bool tunnel = mode == "tunnel";
        _pair.Load(left, right, $"encap = {(encapsulation == "UDP" ? "yes" : "no")}", ("net", tunnel ? Gateways.LeftNet : string.Empty, tunnel ? Gateways.RightNet : string.Empty, $"mode = {mode}"));
        _pair.Left.Initiate("net");
        return tunnel ? (_pair.Net.LeftHost, _pair.Net.RightHost, Gateways.RightHostAddress, Gateways.LeftHostAddress) : (_pair.Net.Left, _pair.Net.Right, right, left);
    }

    /// <summary>The router's next links: it answers what is larger.</summary>
    private void Restrict() => Links($" mtu lock {Narrow}");

    /// <summary>Makes the path wide, and lets everyone forget what it was.</summary>
    private void Widen()
    {
        Links(string.Empty);
        foreach (Host host in new[] { _pair.Net.LeftHost, _pair.Net.Left, _pair.Net.Wire, _pair.Net.Right, _pair.Net.RightHost })
        {
            host.Ip("route flush cache");
            host.Shell("ip -6 route flush cache; echo 1 > /proc/sys/net/ipv4/tcp_no_metrics_save; ip tcp_metrics flush all");
        }
    }

    private void Links(string mtu)
    {
        foreach ((string address, string device) in new[] { (Gateways.LeftBehindNat, "to-left"), (Gateways.RightAddress, "to-right"), (Gateways.LeftBehindRouter6, "to-left"), (Gateways.RightAddress6, "to-right") })
        {
            _pair.Net.Wire.Ip($"route replace {address} dev {device}{mtu}");
        }
    }

    /// <summary>A pair with a router between.</summary>
    public sealed class RoutedPair : IDisposable
    {
        public CharonPair Pair { get; } = CharonPair.Create(Middle.Router);

        public void Dispose() => Pair.Dispose();
    }
}
