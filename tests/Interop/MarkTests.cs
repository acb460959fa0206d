using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>Marks of what comes out of a tunnel, as the kernel beneath has them: in its firewall and in its routing.</summary>
[Collection(Alone.Name)]
public sealed class MarkTests(CharonPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<CharonPair>
{
    private const string Table = "inet marks";

    [Theory]
    [InlineData("")]
    [InlineData("encap = yes")]
    public void An_sa_gives_what_comes_through_it_its_mark(string connection) => Play(pair, () =>
    {
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, connection, ("net", Gateways.LeftNet, Gateways.RightNet, "set_mark_in = 5"));
        pair.Left.Initiate("net");
        ExpectsMark(5, "");
    });

    [Theory]
    [InlineData("")]
    [InlineData("encap = yes")]
    public void What_netfilter_gave_the_protected_packet_the_packet_within_has(string connection) => Play(pair, () =>
    {
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, connection, ("net", Gateways.LeftNet, Gateways.RightNet, ""));
        pair.Left.Initiate("net");
        ExpectsMark(7, "chain before { type filter hook prerouting priority -200; ip saddr 192.0.2.1 ip protocol { esp, udp } meta mark set 7; }");
    });

    [Fact]
    public void Both_as_the_mask_says() => Play(pair, () =>
    {
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, "", ("net", Gateways.LeftNet, Gateways.RightNet, "set_mark_in = 0x10/0xf0"));
        pair.Left.Initiate("net");
        ExpectsMark(0x17, "chain before { type filter hook prerouting priority -200; ip saddr 192.0.2.1 ip protocol { esp, udp } meta mark set 0x27; }");
    });

    /// <summary>All that comes into the right network and gateway from the left has the mark, be it alone or many in one, and a rule of routing finds it.</summary>
    private void ExpectsMark(int mark, string more)
    {
        Host right = pair.Net.Right;
        right.Nft($$"""
            table {{Table}} {
              counter with { }
              counter without { }
              {{more}}
              chain passed-on { type filter hook forward priority 0; iifname "ipsec0" meta mark {{mark}} counter name with return; iifname "ipsec0" counter name without; }
              chain taken { type filter hook input priority 300; iifname "ipsec0" meta mark {{mark}} counter name with return; iifname "ipsec0" counter name without; }
            }
            """);
        try
        {
            // What was taken past netfilter, as long as nobody had rules there, is so for a moment more.
            Wait.Until(() => pair.Net.LeftHost.Ping(Gateways.RightHostAddress, count: 1).Received == 1 && Count("with") > 0, "the rules are obeyed");
            right.Do(Toolbox.Find("nft"), "reset", "counters", "table", "inet", "marks");
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            pair.Net.LeftHost.PingsThrough(Gateways.RightLan);
            Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "5M");
            Iperf.Tcp(pair.Net.LeftHost, right, Gateways.RightLan, "5M");
            Assert.Equal(0, Count("without"));
            Assert.InRange(Count("with"), 100, long.MaxValue);

            right.Ip($"rule add pref 300 fwmark {mark}/0xffffff table 77\nroute add blackhole {Gateways.RightHostAddress} table 77");
            pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
            right.Ip("rule del pref 300");
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        }
        finally
        {
            right.Nft($"delete table {Table}");
            right.Run(Toolbox.Find("ip"), "rule", "del", "pref", "300");
            right.Run(Toolbox.Find("ip"), "route", "flush", "table", "77");
        }

        long Count(string counter) => long.Parse(
            right.Do(Toolbox.Find("nft"), "list", "counter", "inet", "marks", counter).Split("packets ")[1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
    }
}
