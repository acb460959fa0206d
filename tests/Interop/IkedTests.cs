using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>OpenIKED on PF_KEY: with its like, and with charon on netlink.</summary>
[Collection(Alone.Name)]
public sealed class IkedTests(ITestOutputHelper output) : Scenario(output)
{
    private static readonly (string, string)[] Covered = [(Gateways.LeftNet, Gateways.RightNet)];
    private static readonly string LeftSelectors = $"from {Gateways.LeftNet} to {Gateways.RightNet}", RightSelectors = $"from {Gateways.RightNet} to {Gateways.LeftNet}";

    [Theory]
    [InlineData("")]
    [InlineData("childsa auth hmac-sha2-512 enc aes-128")]
    [InlineData("childsa auth hmac-sha1 enc 3des")]
    public void Two_ikeds_join_two_networks(string algorithms)
    {
        using Gateways net = new();
        Play(net.Lab, () =>
        {
            (XfrmdDaemon leftDaemon, XfrmdDaemon rightDaemon) = net.StartDaemons();
            Wiretap tap = net.Watch();
            Iked right = new(net.Right, rightDaemon, net.Lab.Folder, Iked.Policy("passive esp", RightSelectors, Gateways.RightAddress, Gateways.LeftAddress, algorithms));
            Iked left = new(net.Left, leftDaemon, net.Lab.Folder, Iked.Policy("active esp", LeftSelectors, Gateways.LeftAddress, Gateways.RightAddress, algorithms));
            left.WaitForSas();
            right.WaitForSas();
            net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 1333);
            Iperf.Tcp(net.LeftHost, net.RightHost, Gateways.RightHostAddress, "5M");
            tap.Stop().AssertRawEsp(12).AssertNothingClear(Covered);
            EndAndAssertEmpty(net, left, right, leftDaemon, rightDaemon);
        });
    }

    [Theory]
    [InlineData("transport", Gateways.LeftAddress, Gateways.RightAddress)]
    [InlineData("transport", Gateways.LeftAddress6, Gateways.RightAddress6)]
    [InlineData("tunnel", Gateways.LeftAddress6, Gateways.RightAddress6)]
    public void Two_hosts_protect_what_they_say_to_each_other(string mode, string leftAddress, string rightAddress)
    {
        using Gateways net = new();
        Play(net.Lab, () =>
        {
            (XfrmdDaemon leftDaemon, XfrmdDaemon rightDaemon) = net.StartDaemons();
            Iked right = new(net.Right, rightDaemon, net.Lab.Folder, Iked.Policy($"passive {mode} esp", $"from {rightAddress} to {leftAddress}", rightAddress, leftAddress));
            Iked left = new(net.Left, leftDaemon, net.Lab.Folder, Iked.Policy($"active {mode} esp", $"from {leftAddress} to {rightAddress}", leftAddress, rightAddress));
            left.WaitForSas();
            right.WaitForSas();
            Wiretap tap = net.Watch();
            net.Left.PingsThrough(rightAddress);
            Iperf.Tcp(net.Right, net.Left, leftAddress, "3M");
            tap.Stop().AssertRawEsp(6).AssertNothingClear((leftAddress, rightAddress));
            EndAndAssertEmpty(net, left, right, leftDaemon, rightDaemon);
        });
    }

    [Fact]
    public void Rekeying_loses_no_packet()
    {
        using Gateways net = new();
        Play(net.Lab, () =>
        {
            (XfrmdDaemon leftDaemon, XfrmdDaemon rightDaemon) = net.StartDaemons();
            Iked right = new(net.Right, rightDaemon, net.Lab.Folder, Iked.Policy("passive esp", RightSelectors, Gateways.RightAddress, Gateways.LeftAddress));
            Iked left = new(net.Left, leftDaemon, net.Lab.Folder, Iked.Policy("active esp", LeftSelectors, Gateways.LeftAddress, Gateways.RightAddress, lifetime: 4));
            left.WaitForSas();
            right.WaitForSas();
            Wiretap tap = net.Watch();
            PingResult ping = net.LeftHost.Ping(Gateways.RightHostAddress, count: 120, interval: 0.1);
            Assert.True(ping.Received >= ping.Sent - 1, $"echoes were lost:\n{ping.Text}");
            left.WaitForSas(3);
            WireReport report = tap.Stop().AssertRawEsp(200).AssertNothingClear(Covered);
            Assert.True(report.Protected.Select(packet => packet.Spi).Distinct().Count() >= 6, "fresh SAs carry the traffic");
            EndAndAssertEmpty(net, left, right, leftDaemon, rightDaemon);
        });
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Iked_and_charon_join_two_networks(bool ikedInitiates)
    {
        using Gateways net = new();
        Play(net.Lab, () =>
        {
            (XfrmdDaemon leftDaemon, XfrmdDaemon rightDaemon) = net.StartDaemons();
            Charon right = new(net.Right, rightDaemon, net.Lab.Folder);
            // Over PF_KEY a kernel cuts SHA-256 to 96 bits, over netlink charon asks for 128: SHA-384 has one length only.
            right.Load(Swanctl.File(Swanctl.Connection("site", Gateways.RightAddress, Gateways.LeftAddress, string.Empty,
                Swanctl.Child("net", Gateways.RightNet, Gateways.LeftNet, "esp_proposals = aes256-sha384"))));
            Wiretap tap = net.Watch();
            Iked left = new(net.Left, leftDaemon, net.Lab.Folder, Iked.Policy((ikedInitiates ? "active" : "passive") + " esp", LeftSelectors, Gateways.LeftAddress, Gateways.RightAddress,
                "ikesa enc aes-256 auth hmac-sha2-256 prf hmac-sha2-256 group curve25519 childsa auth hmac-sha2-384 enc aes-256"));
            if (!ikedInitiates)
            {
                right.Initiate("net");
            }
            left.WaitForSas();
            right.WaitForLog("CHILD_SA net{\\d+} established");
            net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 1200);
            Iperf.Tcp(net.RightHost, net.LeftHost, Gateways.LeftHostAddress, "5M");
            right.Swanctl("--rekey", "--child", "net").OrFail();
            left.WaitForSas(2);
            net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            tap.Stop().AssertRawEsp(18).AssertNothingClear(Covered);
            if (ikedInitiates)
            {
                left.Ikectl("reset", "sa");
            }
            else
            {
                right.Terminate("site");
            }
            AssertEmpty(net, leftDaemon, rightDaemon);
            left.AssertNoKernelErrors();
            right.AssertNoKernelErrors();
        });
    }

    [Fact]
    public void Iked_behind_a_nat_reaches_charon()
    {
        using Gateways net = new(Middle.Nat);
        Play(net.Lab, () =>
        {
            (XfrmdDaemon leftDaemon, XfrmdDaemon rightDaemon) = net.StartDaemons();
            Charon right = new(net.Right, rightDaemon, net.Lab.Folder);
            right.Load(Swanctl.File(Swanctl.Connection("site", Gateways.RightAddress, "%any", string.Empty,
                Swanctl.Child("net", Gateways.RightNet, Gateways.LeftNet, "esp_proposals = aes128-sha1"))));
            Wiretap tap = net.Watch();
            Iked left = new(net.Left, leftDaemon, net.Lab.Folder, Iked.Policy("active esp", LeftSelectors, Gateways.LeftBehindNat, Gateways.RightAddress,
                "ikesa enc aes-256 auth hmac-sha2-256 prf hmac-sha2-256 group curve25519 childsa auth hmac-sha1 enc aes-128"));
            left.WaitForSas();
            net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 1200);
            Iperf.Tcp(net.LeftHost, net.RightHost, Gateways.RightHostAddress, "5M");
            tap.Stop().AssertUdpEsp(12).AssertNothingClear((Gateways.LeftNet, Gateways.RightNet), (Gateways.NatAddress, Gateways.RightNet));
            left.Ikectl("reset", "sa");
            AssertEmpty(net, leftDaemon, rightDaemon);
            left.AssertNoKernelErrors();
            right.AssertNoKernelErrors();
        });
    }

    // Both daemons stay: what ends is what they have made.
    private static void EndAndAssertEmpty(Gateways net, Iked left, Iked right, XfrmdDaemon leftDaemon, XfrmdDaemon rightDaemon)
    {
        left.Ikectl("reset", "sa");
        AssertEmpty(net, leftDaemon, rightDaemon);
        left.AssertNoKernelErrors();
        right.AssertNoKernelErrors();
    }

    private static void AssertEmpty(Gateways net, XfrmdDaemon leftDaemon, XfrmdDaemon rightDaemon)
    {
        foreach ((XfrmdDaemon daemon, Host host) in new[] { (leftDaemon, net.Left), (rightDaemon, net.Right) })
        {
            Wait.Until(() => daemon.IpXfrm(host, "state").Length == 0 && daemon.IpXfrm(host, "policy list nosock").Length == 0, $"{host.Name} has no SAs and policies any more");
        }
    }
}
