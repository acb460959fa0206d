using System.Text.Json;
using System.Text.RegularExpressions;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>
/// Raw ESP passes by routing and netfilter only where nobody can tell the difference. The SAs have no replay window: a packet that is taken
/// twice counts twice. The window of TCP is so small that no queue on the way can overflow: a packet that does not arrive was lost by us.
/// </summary>
public abstract partial class DirectPathScenarios(ManualPair pair, string taken, ITestOutputHelper output) : Scenario(output)
{
    private const string Direct = "directly", Frames = "directly, past the link's queue", Raw = "raw socket";
    private static int _port = 5300;
    private static readonly string[] SmallWindow = ["-w", "64K"];

    [Theory]
    [InlineData(Gateways.LeftAddress, Gateways.RightAddress)]
    [InlineData(Gateways.LeftAddress6, Gateways.RightAddress6)]
    public void Every_packet_is_taken_once_before_during_and_after_the_change(string left, string right) => Play(pair, () =>
    {
        Tunnel(left, right);
        Flow(() =>
        {
            WaitFor(pair.LeftDaemon, pair.Net.Left, $"to {right}", Direct);
            WaitFor(pair.LeftDaemon, pair.Net.Left, $"to {right}", Frames);
            WaitFor(pair.RightDaemon, pair.Net.Right, $"from {left} to {right}", taken);
        });
        AssertAllArrive();
        Flow(() => { });
        AssertAllArrive();
        pair.Flush();
    });

    [Theory]
    [InlineData("output", true)]
    [InlineData("postrouting", true)]
    [InlineData("prerouting", false)]
    [InlineData("input", false)]
    public void A_rule_for_esp_sees_it_from_the_moment_on_that_it_is_added(string hook, bool outbound) => Play(pair, () =>
    {
        (XfrmdDaemon daemon, Host host) = outbound ? (pair.LeftDaemon, pair.Net.Left) : (pair.RightDaemon, pair.Net.Right);
        string path = outbound ? $"to {Gateways.RightAddress}" : $"from {Gateways.LeftAddress} to {Gateways.RightAddress}";
        Tunnel(Gateways.LeftAddress, Gateways.RightAddress);
        Flow(() =>
        {
            WaitFor(daemon, host, path, Direct);
            host.Nft($"add table inet foreign\nadd chain inet foreign c {{ type filter hook {hook} priority 10; }}\nadd rule inet foreign c meta l4proto esp counter");
            WaitFor(daemon, host, path, Raw);
        });
        AssertAllArrive();
        long before = Counted(host), sent = Packets(pair.LeftDaemon, pair.Net.Left, "0x00001001"), back = Packets(pair.LeftDaemon, pair.Net.Left, "0x00002002");
        Flow(() => { });
        AssertAllArrive();
        // At output and postrouting of the left gateway, or at prerouting and input of the right one, ESP of one direction passes.
        Assert.Equal(Packets(pair.LeftDaemon, pair.Net.Left, "0x00001001") - sent, Counted(host) - before);
        Assert.True(Packets(pair.LeftDaemon, pair.Net.Left, "0x00002002") > back, "nothing came back");
        Flow(() =>
        {
            host.Nft("delete table inet foreign");
            WaitFor(daemon, host, path, Direct);
        });
        AssertAllArrive();
        pair.Flush();
    });

    [Theory]
    [InlineData("a queueing discipline", "tc qdisc add dev wan root pfifo limit 1000", "tc -s qdisc show dev wan", @"pfifo[^\n]*\n Sent \d+ bytes (\d+) pkt", "tc qdisc del dev wan root")]
    [InlineData(
        "a rule at the egress hook",
        "nft 'add table netdev foreign; add chain netdev foreign c { type filter hook egress device wan priority 0; }; add rule netdev foreign c meta protocol { ip, ip6, arp } counter'",
        "nft list table netdev foreign",
        @"counter packets (\d+)",
        "nft delete table netdev foreign")]
    public void What_looks_at_what_leaves_a_link_sees_all_of_it(string what, string begin, string look, string pattern, string end) => Play(pair, () =>
    {
        Host left = pair.Net.Left;
        long Sent() => long.Parse(left.Shell("cat /sys/class/net/wan/statistics/tx_packets"), System.Globalization.CultureInfo.InvariantCulture);
        long Seen() => long.Parse(Regex.Match(left.Shell(look), pattern).Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
        Tunnel(Gateways.LeftAddress, Gateways.RightAddress);
        Flow(() =>
        {
            WaitFor(pair.LeftDaemon, left, $"to {Gateways.RightAddress}", Frames);
            left.Shell(begin);
            WaitForNot(pair.LeftDaemon, left, $"to {Gateways.RightAddress}", Frames);
        });
        AssertAllArrive();
        (long sent, long seen) = (Sent(), Seen());
        Flow(() => { });
        AssertAllArrive();
        Assert.True(Sent() - sent > 100, "nothing was sent");
        Assert.Equal((what, Sent() - sent), (what, Seen() - seen));
        Flow(() =>
        {
            left.Shell(end);
            WaitFor(pair.LeftDaemon, left, $"to {Gateways.RightAddress}", Frames);
        });
        AssertAllArrive();
        pair.Flush();
    });

    [Fact]
    public void Tcpdump_sees_all_esp_that_leaves_from_a_moment_behind_its_start_on() => Play(pair, () =>
    {
        Host left = pair.Net.Left;
        Tunnel(Gateways.LeftAddress, Gateways.RightAddress);
        Flow(() => WaitFor(pair.LeftDaemon, left, $"to {Gateways.RightAddress}", Frames));
        AssertAllArrive();
        string file = Path.Combine(pair.Net.Lab.Folder, $"{Guid.NewGuid():N}.pcap");
        BackgroundProcess tcpdump = left.Start(
            "tcpdump-leaving", [Toolbox.Find("tcpdump"), "-n", "-i", "wan", "-Q", "out", "-s", "64", "-B", "65536", "-U", "--immediate-mode", "-Z", "root", "-w", file, "esp"]);
        WaitForNot(pair.LeftDaemon, left, $"to {Gateways.RightAddress}", Frames);
        long before = Packets(pair.LeftDaemon, left, "0x00001001");
        Flow(() => { });
        AssertAllArrive();
        long sent = Packets(pair.LeftDaemon, left, "0x00001001") - before;
        Wait.Until(() => Pcap.Read(file).Count >= sent, $"tcpdump has written {sent} packets");
        Assert.Equal(sent, Pcap.Read(file).Count);
        tcpdump.Signal("INT");
        Flow(() => WaitFor(pair.LeftDaemon, left, $"to {Gateways.RightAddress}", Frames));
        AssertAllArrive();
        pair.Flush();
    });

    [Fact]
    public void A_chain_that_does_nothing_is_no_obstacle() => Play(pair, () =>
    {
        Tunnel(Gateways.LeftAddress, Gateways.RightAddress);
        pair.Net.Left.Nft("add table inet foreign\nadd chain inet foreign c { type filter hook output priority 0; policy accept; }");
        Flow(() => WaitFor(pair.LeftDaemon, pair.Net.Left, $"to {Gateways.RightAddress}", Direct));
        AssertAllArrive();
        pair.Net.Left.Nft("delete table inet foreign");
        pair.Flush();
    });

    [Fact]
    public void A_neighbour_with_a_new_station_is_followed_at_once() => Play(pair, () =>
    {
        Tunnel(Gateways.LeftAddress, Gateways.RightAddress);
        Flow(() => WaitFor(pair.LeftDaemon, pair.Net.Left, $"to {Gateways.RightAddress}", Direct));
        AssertAllArrive();
        string old = pair.Net.Right.Shell("cat /sys/class/net/wan/address").Trim();
        foreach (string station in (string[])["02:00:5e:00:00:01", old])
        {
            pair.Net.Right.Ip($"link set dev wan address {station}");
            pair.Net.Left.Ip($"neigh replace {Gateways.RightAddress} dev wan lladdr {station} nud reachable");
            Flow(() => WaitFor(pair.LeftDaemon, pair.Net.Left, $"to {Gateways.RightAddress}", Direct));
            AssertAllArrive();
        }
        pair.Flush();
    });

    [Fact]
    public void A_route_that_changes_is_followed_at_once() => Play(pair, () =>
    {
        Tunnel(Gateways.LeftAddress, Gateways.RightAddress);
        Flow(() => WaitFor(pair.LeftDaemon, pair.Net.Left, $"to {Gateways.RightAddress}", Direct));
        AssertAllArrive();
        long arrived = Packets(pair.RightDaemon, pair.Net.Right, "0x00001001");
        pair.Net.Left.Ip($"route add blackhole {Gateways.RightAddress}/32");
        pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
        Assert.Equal(arrived, Packets(pair.RightDaemon, pair.Net.Right, "0x00001001"));
        pair.Net.Left.Ip($"route del blackhole {Gateways.RightAddress}/32");
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        Flow(() => WaitFor(pair.LeftDaemon, pair.Net.Left, $"to {Gateways.RightAddress}", Direct));
        pair.Flush();
    });

    [Fact]
    public void A_daemon_that_is_killed_leaves_nothing_that_takes_esp()
    {
        using ManualPair own = NewPair();
        Play(own.Net.Lab, () =>
        {
            Tunnel(own, Gateways.LeftAddress, Gateways.RightAddress);
            Flow(own, () => WaitFor(own.RightDaemon, own.Net.Right, $"from {Gateways.LeftAddress} to {Gateways.RightAddress}", Direct));
            own.RightDaemon.Process.Signal("KILL");
            Wait.Until(() => !own.Net.Right.Do(Toolbox.Find("nft"), "list", "tables").Contains("netdev", StringComparison.Ordinal), "the table goes with the daemon");
            own.Net.Right.Nft("add table inet foreign\nadd chain inet foreign c { type filter hook prerouting priority -400; }\nadd rule inet foreign c meta l4proto esp counter");
            own.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
            Assert.True(Counted(own.Net.Right) > 0, "ESP reaches netfilter again");
        });
    }

    /// <summary>Another one of the same kind.</summary>
    protected abstract ManualPair NewPair();

    private void Tunnel(string left, string right) => Tunnel(pair, left, right);

    private static void Tunnel(ManualPair pair, string left, string right)
    {
        foreach (Host gateway in (Host[])[pair.Net.Left, pair.Net.Right])
        {
            gateway.Run(Toolbox.Find("nft"), "delete", "table", "inet", "foreign");   // a scenario that failed may have left it
        }
        pair.AddStates(left, right, ManualPair.Gcm128, options: "replay-window 0");
        pair.AddPolicies(left, right, Gateways.LeftNet, Gateways.RightNet);
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
    }

    private void Flow(Action meanwhile) => Flow(pair, meanwhile);

    /// <summary>Sends over TCP until what happens meanwhile is over.</summary>
    private static void Flow(ManualPair pair, Action meanwhile)
    {
        using CancellationTokenSource over = new();
        Task stream = Task.Run(() =>
        {
            do
            {
                // A port of its own each time: what is left of the connection before must not be taken for the next server.
                int port = Interlocked.Increment(ref _port);
                Iperf.Finish(Iperf.StartTcpOn(port, pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, 1, SmallWindow), TimeSpan.FromSeconds(60));
            }
            while (!over.IsCancellationRequested);
        });
        try
        {
            meanwhile();
        }
        finally
        {
            over.Cancel();
            stream.Wait();
        }
    }

    /// <summary>As many packets came out of each SA as went into it, once all have come.</summary>
    private void AssertAllArrive()
    {
        foreach ((XfrmdDaemon from, Host sender, XfrmdDaemon to, Host receiver, string spi) in ((XfrmdDaemon, Host, XfrmdDaemon, Host, string)[])
            [(pair.LeftDaemon, pair.Net.Left, pair.RightDaemon, pair.Net.Right, "0x00001001"), (pair.RightDaemon, pair.Net.Right, pair.LeftDaemon, pair.Net.Left, "0x00002002")])
        {
            long sent = 0, received = 0;
            Wait.Until(
                () =>
                {
                    (received, sent) = (Packets(to, receiver, spi), Packets(from, sender, spi));
                    return received >= sent;
                },
                $"all packets of SA {spi} arrive",
                TimeSpan.FromSeconds(60));
            Assert.Equal(sent, received);
        }
    }

    private static long Packets(XfrmdDaemon daemon, Host host, string spi)
    {
        using JsonDocument status = JsonDocument.Parse(host.Do(Toolbox.Xfrmd, "status", "--socket", daemon.Socket, "--json"));
        return status.RootElement.GetProperty("sas").EnumerateArray().Single(sa => sa.GetProperty("spi").GetString() == spi).GetProperty("packets").GetInt64();
    }

    private static void WaitFor(XfrmdDaemon daemon, Host host, string path, string how) =>
        Wait.Until(() => Goes(daemon, host, path, how), $"{host.Name}: raw ESP {path}: {how}", TimeSpan.FromSeconds(60));

    private static void WaitForNot(XfrmdDaemon daemon, Host host, string path, string how) =>
        Wait.Until(() => !Goes(daemon, host, path, how), $"{host.Name}: raw ESP {path} no longer: {how}", TimeSpan.FromSeconds(60));

    private static bool Goes(XfrmdDaemon daemon, Host host, string path, string how)
    {
        using JsonDocument status = JsonDocument.Parse(host.Do(Toolbox.Xfrmd, "status", "--socket", daemon.Socket, "--json"));
        return status.RootElement.GetProperty("rawEsp").EnumerateArray().Any(line => line.GetString()!.StartsWith($"{path}: {how}", StringComparison.Ordinal));
    }

    private static long Counted(Host host) =>
        long.Parse(PacketCount().Match(host.Do(Toolbox.Find("nft"), "list", "table", "inet", "foreign")).Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);

    [GeneratedRegex(@"counter packets (\d+)")]
    private static partial Regex PacketCount();
}

/// <summary>With all that root may.</summary>
[Collection(Alone.Name)]
public sealed class DirectPathTests(ManualPair pair, ITestOutputHelper output) : DirectPathScenarios(pair, "directly (eBPF)", output), IClassFixture<ManualPair>
{
    protected override ManualPair NewPair() => new();
}

/// <summary>As in a container, where no program of eBPF may be loaded: rings of AF_PACKET, and netfilter behind them.</summary>
[Collection(Alone.Name)]
public sealed class DirectPathInContainerTests(ContainedPair pair, ITestOutputHelper output) : DirectPathScenarios(pair, "directly", output), IClassFixture<ContainedPair>
{
    protected override ManualPair NewPair() => new ContainedPair();
}
