using System.Globalization;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>
/// Loss, duplication, reordering and delay on the wire, made by nftables: some packets are dropped, some sent twice, and some take a way through
/// a slow link and come later than those behind them.
/// </summary>
[Collection(Alone.Name)]
public sealed class ImpairedPathTests(CharonPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<CharonPair>
{
    private const int Window = 1024;

    [Theory]
    [InlineData("no")]
    [InlineData("yes")]
    public void What_the_path_does_to_packets_harms_no_other(string encap) => Play(pair, () =>
    {
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, $"encap = {encap}", ("net", Gateways.LeftNet, Gateways.RightNet, $"replay_window = {Window};esp_proposals = aes128gcm16-esn"));
        pair.Left.Initiate("net");
        IReadOnlyDictionary<string, long> before = pair.RightDaemon.Counters(pair.Net.Right);
        Impair("numgen inc mod 50 == 0 dup to \"to-OTHER\"", "numgen inc mod 60 < 3 fwd to \"slow-HERE\"");
        Wiretap tap = pair.Net.Watch();
        // Without loss, whatever is reordered and doubled, every datagram arrives, and once.
        long arrived = Datagrams();
        IperfReport udp = Iperf.Udp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, 1000, "4M", seconds: 3);
        // iperf3 counts what is late at its end as lost; its host counts it still, when the slow link has let it go. One more begins the test.
        Assert.True(udp.Packets > 1000);
        Wait.Until(() => Datagrams() - arrived >= udp.Packets, $"{udp.Packets} datagrams arrive");
        Assert.InRange(Datagrams() - arrived, udp.Packets, udp.Packets + 1);
        long replayed = Count("XfrmInStateSeqError", before);
        Assert.InRange(replayed, udp.Packets / 60, udp.Packets / 40);
        PingResult ping = pair.Net.LeftHost.Ping(Gateways.RightHostAddress, count: 200, interval: 0.005, deadline: 20);
        Assert.True(ping is { Sent: 200, Received: 200 } && !ping.Text.Contains("DUP!", StringComparison.Ordinal), ping.Text);
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "2M", "-b", "4M", "--bidir");
        // And with loss: TCP comes through, IKE too.
        Impair("numgen inc mod 50 == 0 dup to \"to-OTHER\"", "numgen inc mod 60 < 3 fwd to \"slow-HERE\"", "numgen inc mod 40 == 2 drop");
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "1M", "-b", "4M", "--bidir");
        for (int i = 0; i < 3; i++)
        {
            int times = pair.Left.CountInLog(@"CHILD_SA net\{\d+\} established");
            pair.Left.Swanctl("--rekey", "--child", "net").OrFail();
            pair.Left.WaitForLog(@"CHILD_SA net\{\d+\} established", times + 1);
        }
        Impair();
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
        tap.Stop().AssertNothingClear((Gateways.LeftNet, Gateways.RightNet));
        // Nothing but replays was counted as wrong.
        Assert.DoesNotContain(pair.RightDaemon.Counters(pair.Net.Right), c => c.Key is "XfrmInStateProtoError" or "XfrmInStateModeError" or "XfrmInTmplMismatch" or "XfrmInHdrError" or "XfrmInNoPols");
    });

    [Fact]
    public void A_killed_charon_starts_anew_over_what_it_left()
    {
        using CharonPair mortal = new();
        Play(mortal.Net.Lab, () =>
        {
            mortal.Load(Gateways.LeftAddress, Gateways.RightAddress, string.Empty, ("net", Gateways.LeftNet, Gateways.RightNet, string.Empty));
            mortal.Left.Initiate("net");
            mortal.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            Wiretap tap = mortal.Net.Watch();
            mortal.Left.Process.Stop("KILL");
            // The kernel's SAs and policies outlive their daemon.
            mortal.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            Charon again = new(mortal.Net.Left, mortal.LeftDaemon, mortal.Net.Lab.Folder);
            again.Load(Swanctl.File(Swanctl.Connection("site", Gateways.LeftAddress, Gateways.RightAddress, string.Empty, Swanctl.Child("net", Gateways.LeftNet, Gateways.RightNet))));
            again.Initiate("net");
            mortal.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            mortal.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
            Iperf.Tcp(mortal.Net.LeftHost, mortal.Net.RightHost, Gateways.RightHostAddress, "3M");
            tap.Stop().AssertNothingClear((Gateways.LeftNet, Gateways.RightNet));
        });
    }

    /// <summary>UDP datagrams that have come to the right host, to a socket or to none.</summary>
    private long Datagrams() => pair.Net.RightHost.Shell("grep ^Udp: /proc/net/snmp | tail -n 1").Split(' ')[1..3].Sum(n => long.Parse(n, CultureInfo.InvariantCulture));

    private long Count(string name, IReadOnlyDictionary<string, long> before) => pair.RightDaemon.Counters(pair.Net.Right).GetValueOrDefault(name) - before.GetValueOrDefault(name);

    /// <summary>Rules for protected packets of either direction; HERE and OTHER stand for the two ends.</summary>
    private void Impair(params string[] rules)
    {
        Host wire = pair.Net.Wire;
        if (!wire.Run(Toolbox.Find("ip"), "link", "show", "slow-left").Output.Contains("slow-left", StringComparison.Ordinal))
        {
            foreach (string end in new[] { "left", "right" })
            {
                // What goes in at one end comes out at the other when the bucket has paid for it: behind so few that the replay window still
                // knows it. With ESN what is older is taken for 2^32 newer, and is not authentic (xfrm_replay_seqhi).
                wire.Ip($"link add slow-{end} type veth peer name late-{end}\nlink set slow-{end} up\nlink set late-{end} up");
                wire.Do(Toolbox.Find("tc"), "qdisc", "add", "dev", "slow-" + end, "root", "tbf", "rate", "1mbit", "burst", "1600", "limit", "100000");
            }
        }
        string table = "add table netdev impair\ndelete table netdev impair\nadd table netdev impair\n";
        foreach ((string here, string other) in new[] { ("left", "right"), ("right", "left") })
        {
            table += $"add chain netdev impair {here} {{ type filter hook ingress device \"to-{here}\" priority 0; }}\nadd chain netdev impair late-{here} {{ type filter hook ingress device \"late-{here}\" priority 0; }}\n" +
                $"add rule netdev impair late-{here} fwd to \"to-{other}\"\n" +
                string.Concat(rules.Select(rule => $"add rule netdev impair {here} meta l4proto {{ esp, udp }} {rule.Replace("OTHER", other, StringComparison.Ordinal).Replace("HERE", here, StringComparison.Ordinal)}\n"));
        }
        pair.Net.Nft(table);
    }
}
