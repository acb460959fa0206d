using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>libreswan on netlink: with its like, and with charon.</summary>
[Collection(Alone.Name)]
public sealed class LibreswanTests(PlutoPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<PlutoPair>
{
    private const string Subnets = $"leftsubnet={Gateways.LeftNet}; rightsubnet={Gateways.RightNet}", Subnets6 = $"leftsubnet={Gateways.LeftNet6}; rightsubnet={Gateways.RightNet6}";
    private static readonly (string, string)[] Covered = [(Gateways.LeftNet, Gateways.RightNet)];

    [Theory]
    [InlineData("plain", "")]
    [InlineData("no-esn", "esp=aes128-sha1; esn=no; replay-window=0; nopmtudisc=yes; decap-dscp=yes")]
    [InlineData("chacha", "esp=chacha20_poly1305; replay-window=1024; encapsulation=yes")]
    [InlineData("ikev1", "ikev2=never; esp=3des-sha2_512")]
    [InlineData("compressed", "compress=yes; esp=aes_ctr256-sha2_256; tfc=200")]
    [InlineData("offload", "nic-offload=yes; esp=aes_gcm_b128")]
    public void Two_plutos_join_two_networks(string name, string options) => Play(name, () =>
    {
        pair.Load(name, $"{Subnets}; {options}");
        pair.Left.Initiate(name);
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 1200);
        WireReport report = tap.Stop().AssertNothingClear(Covered);
        _ = options.Contains("encapsulation", StringComparison.Ordinal) ? report.AssertUdpEsp(6) : report.AssertRawEsp(6);
        Assert.Matches("inBytes=[1-9].* outBytes=[1-9]", pair.Left.Whack("--trafficstatus").OrFail().Output);
    });

    [Theory]
    [InlineData("hosts", "type=transport", false)]
    [InlineData("hosts6", "type=transport; esp=aes_ccm128", true)]
    [InlineData("signed", "type=transport; phase2=ah; phase2alg=sha2_256", false)]
    public void Two_hosts_protect_what_they_say_to_each_other(string name, string options, bool six) => Play(name, () =>
    {
        pair.Load(name, options, six);
        pair.Left.Initiate(name);
        Wiretap tap = pair.Net.Watch();
        pair.Net.Left.PingsThrough(six ? Gateways.RightAddress6 : Gateways.RightAddress);
        pair.Net.Right.PingsThrough(six ? Gateways.LeftAddress6 : Gateways.LeftAddress, size: 1200);
        WireReport report = tap.Stop();
        if (options.Contains("phase2=ah", StringComparison.Ordinal))
        {
            Assert.True(report.Clear.Count(packet => packet.Protocol == 51) >= 12, "AH carries them");
            Assert.DoesNotContain(report.Clear, packet => packet.Protocol == 1);
        }
        else
        {
            report.AssertRawEsp(6).AssertNothingClear((Gateways.LeftAddress, Gateways.RightAddress), (Gateways.LeftAddress6, Gateways.RightAddress6));
        }
    });

    [Fact]
    public void Rekeying_loses_no_packet() => Play("rekeyed", () =>
    {
        pair.Load("rekeyed", Subnets);
        pair.Left.Initiate("rekeyed");
        Wiretap tap = pair.Net.Watch();
        for (int i = 1; i <= 3; i++)
        {
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            pair.Left.Whack("--asynchronous", "--rekey-ipsec", "--name", "rekeyed").OrFail();
            pair.Left.WaitForLog("\"rekeyed\".*initiator rekeyed Child SA", i);
        }
        pair.Left.Whack("--asynchronous", "--rekey-ike", "--name", "rekeyed").OrFail();
        pair.Left.WaitForLog("\"rekeyed\".*initiator rekeyed IKE SA");
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
        WireReport report = tap.Stop().AssertRawEsp(6).AssertNothingClear(Covered);
        Assert.True(report.Protected.Select(packet => packet.Spi).Distinct().Count() >= 6, "fresh SAs carry the traffic");
    });

    [Fact]
    public void A_soft_limit_of_packets_makes_it_rekey() => Play("limited", () =>
    {
        // pluto takes for the soft limit a bit more than a quarter. Limits on both sides would make both rekey at a time.
        pair.Load("limited", Subnets, leftOptions: "ipsec-max-packets=100");
        pair.Left.Initiate("limited");
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress, count: 40);
        pair.Left.WaitForLog("\"limited\".*initiator rekeyed Child SA");
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
    });

    [Fact]
    public void The_first_packet_starts_the_tunnel() => Play("trap", () =>
    {
        pair.Load("trap", Subnets);
        pair.Left.Whack("--route", "--name", "trap").OrFail();
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.Ping(Gateways.RightHostAddress);
        pair.Left.WaitForLog("\"trap\".*initiator established Child SA");
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
        tap.Stop().AssertRawEsp(6).AssertNothingClear(Covered);
    });

    [Fact]
    public void An_interface_of_its_own_takes_what_is_routed_there() => Play("routed", () =>
    {
        pair.Load("routed", $"{Subnets}; ipsec-interface=9");
        pair.Left.Initiate("routed");
        Wiretap tap = pair.Net.Watch();
        Assert.Contains("ipsec9", pair.Net.Left.Do(Toolbox.Find("ip"), "route", "show", "table", "all"), StringComparison.Ordinal);
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 1200);
        tap.Stop().AssertRawEsp(6).AssertNothingClear(Covered);
    });

    [Fact]
    public void Both_families_go_through_one_connection_each() => Play("six", () =>
    {
        pair.Load("six", Subnets6, six: true);
        pair.Left.Initiate("six");
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress6);
        Iperf.Tcp(pair.Net.RightHost, pair.Net.LeftHost, Gateways.LeftHostAddress6, "3M");
        tap.Stop().AssertRawEsp(6).AssertNothingClear((Gateways.LeftNet6, Gateways.RightNet6));
    });

    [Fact]
    public void Pluto_and_charon_join_two_networks()
    {
        using Gateways net = new();
        Play(net.Lab, () =>
        {
            (XfrmdDaemon leftDaemon, XfrmdDaemon rightDaemon) = net.StartDaemons();
            Pluto left = new(net.Left, leftDaemon, net.Lab.Folder);
            Charon right = new(net.Right, rightDaemon, net.Lab.Folder);
            right.Load(Swanctl.File(Swanctl.Connection("site", Gateways.RightAddress, Gateways.LeftAddress, string.Empty,
                Swanctl.Child("net", Gateways.RightNet, Gateways.LeftNet, "esp_proposals = aes256gcm16-curve25519-esn"))));
            left.Load("site", $"left={Gateways.LeftAddress}; right={Gateways.RightAddress}; {Subnets}");
            Wiretap tap = net.Watch();
            left.Initiate("site");
            net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            left.Whack("--asynchronous", "--rekey-ipsec", "--name", "site").OrFail();
            left.WaitForLog("initiator rekeyed Child SA");
            net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 1200);
            // charon loses its way where a second rekeying meets the end of the first.
            right.WaitForLog("CHILD_SA closed");
            right.Swanctl("--rekey", "--child", "net").OrFail();
            left.WaitForLog("responder rekeyed Child SA");
            right.WaitForLog("CHILD_SA closed", 2);
            net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            // What the peer ends while the connection is wanted, pluto brings up again.
            right.Terminate("site");
            left.WaitForLog("initiator established Child SA", 2);
            net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            tap.Stop().AssertRawEsp(6).AssertNothingClear(Covered);
            left.AssertNoKernelErrors();
            right.AssertNoKernelErrors();
        });
    }

    [Fact]
    public void A_road_warrior_keeps_its_tunnel_when_its_address_changes()
    {
        const string inner = "10.7.0.10", moved = "192.0.2.77";
        using Gateways net = new();
        Play(net.Lab, () =>
        {
            (XfrmdDaemon leftDaemon, XfrmdDaemon rightDaemon) = net.StartDaemons();
            net.RightHost.Ip($"route add {inner} via {Gateways.RightLan}");
            Pluto left = new(net.Left, leftDaemon, net.Lab.Folder), right = new(net.Right, rightDaemon, net.Lab.Folder);
            right.Load("road", $"left={Gateways.RightAddress}; leftsubnet={Gateways.RightNet}; leftmodecfgserver=yes; right=%any; rightaddresspool={inner}-{inner}; mobike=yes; rekey=no; leftid=@right; rightid=@left");
            left.Load("road", $"left=%defaultroute; leftmodecfgclient=yes; leftsubnet=0.0.0.0/0; right={Gateways.RightAddress}; rightsubnet={Gateways.RightNet}; narrowing=yes; mobike=yes; leftid=@left; rightid=@right");
            left.Initiate("road");
            Wiretap tap = net.Watch();
            net.Left.PingsThrough(Gateways.RightHostAddress, from: inner);
            net.Left.Ip($"addr del {Gateways.LeftAddress}/24 dev wan\naddr add {moved}/24 dev wan\nroute replace default via {Gateways.RightAddress}");
            Wait.Until(() => leftDaemon.IpXfrm(net.Left, "state").Contains($"src {moved} dst {Gateways.RightAddress}", StringComparison.Ordinal), "pluto has moved its SAs");
            net.Left.PingsThrough(Gateways.RightHostAddress, from: inner);
            net.RightHost.PingsThrough(inner);
            tap.Stop().AssertRawEsp(12).AssertNothingClear((inner, Gateways.RightNet));
            left.AssertNoKernelErrors();
            right.AssertNoKernelErrors();
        });
    }

    private void Play(string name, Action story) => Play(pair.Net.Lab, () =>
    {
        try
        {
            story();
        }
        finally
        {
            pair.Close(name);
        }
    });
}
