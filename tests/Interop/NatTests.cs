using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>Real NATs between the gateways: nftables masquerades in the middle.</summary>
[Collection(Alone.Name)]
public sealed class NatTests(ITestOutputHelper output) : Scenario(output)
{
    [Theory]
    [InlineData(Middle.Nat)]
    [InlineData(Middle.TwoNats)]
    public void Transport_mode_carries_tcp_and_udp_with_right_checksums(Middle middle)
    {
        using CharonPair pair = CharonPair.Create(middle);
        Play(pair, () =>
        {
            string peer = Load(pair, string.Empty, "mode = transport", networks: false), left = Gateways.NatAddress;
            pair.Left.Initiate("net");
            Wiretap tap = pair.Net.Watch();
            pair.Net.Left.PingsThrough(peer);
            pair.Net.Left.PingsThrough(peer, size: 4000);
            Iperf.Tcp(pair.Net.Left, pair.Net.Right, peer, "5M");
            Iperf.Tcp(pair.Net.Left, pair.Net.Right, peer, "5M", "-R");
            // Small datagrams, whose checksum Linux looks at before policy, and such that come in pieces.
            foreach (int length in new[] { 20, 1300, 4000 })
            {
                IperfReport udp = Iperf.Udp(pair.Net.Left, pair.Net.Right, peer, length, length < 1000 ? "200K" : "2M");
                Assert.True(udp.LostPackets == 0 && udp.Packets > 0, $"{udp.LostPackets} of {udp.Packets} datagrams of {length} octets were lost");
            }
            WireReport report = tap.Stop().AssertUdpEsp(12);
            Assert.DoesNotContain(report.Clear, packet => packet.Protocol is CapturedPacket.Tcp or CapturedPacket.Icmp && packet.Source is { } source && source.ToString() == left);
            Assert.Empty(Unexpected(pair));
        });
    }

    [Fact]
    public void Networks_behind_two_nats_are_joined()
    {
        using CharonPair pair = CharonPair.Create(Middle.TwoNats);
        Play(pair, () =>
        {
            Load(pair, string.Empty, string.Empty, networks: true);
            pair.Left.Initiate("net");
            Wiretap tap = pair.Net.Watch();
            pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
            pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 3000);
            Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "5M");
            Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "5M", "-R");
            pair.Right.Swanctl("--rekey", "--child", "net").OrFail();
            pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
            tap.Stop().AssertUdpEsp(12).AssertNothingClear((Gateways.LeftNet, Gateways.RightNet));
            Assert.Empty(Unexpected(pair));
        });
    }

    [Fact]
    public void A_new_mapping_is_followed_under_load_and_kept_by_keepalives()
    {
        using CharonPair pair = CharonPair.Create(Middle.Nat, options: "keep_alive = 1s");
        Play(pair, () =>
        {
            Load(pair, string.Empty, string.Empty, networks: true);
            pair.Left.Initiate("net");
            BackgroundProcess iperf = Iperf.StartTcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, 12, "-b", "20M", "--bidir");
            for (int round = 1; round <= 2; round++)
            {
                Wait.Seconds(1.5);
                // The router forgets its mappings and gives ports out of another range.
                Rebind(pair, $"{round + 1}0000-{round + 1}9999");
                Wait.Until(() => pair.RightDaemon.IpXfrm(pair.Net.Right, "state").Contains($"sport 4500 dport {round + 1}", StringComparison.Ordinal), $"right follows to the new port ({round})");
            }
            IperfReport report = Iperf.Finish(iperf, TimeSpan.FromSeconds(60));
            Assert.True(report.Bytes > 5_000_000, $"only {report.Bytes} octets passed");
            // Nothing but keepalives, for longer than their interval.
            Wiretap tap = pair.Net.Watch();
            Wait.Seconds(3);
            Assert.True(tap.Stop().Keepalives >= 2, "charon's keepalives pass");
            pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress);
            Assert.Empty(Unexpected(pair));
        });
    }

    [Fact]
    public void Two_clients_behind_one_nat_are_served_at_once()
    {
        using CharonPair pair = CharonPair.Create(Middle.Nat);
        Host second = pair.Net.Lab.AddHost("second");
        pair.Net.Lab.Link(second, "wan", pair.Net.Wire, "to-second");
        pair.Net.Wire.Ip("link add br0 type bridge\naddr del 10.9.0.1/24 dev to-left\nlink set dev to-left master br0\nlink set dev to-second master br0\nlink set br0 up\naddr add 10.9.0.1/24 dev br0");
        second.Ip("addr add 10.9.0.3/24 dev wan\nroute add default via 10.9.0.1");
        Charon other = new(second, new XfrmdDaemon(second, pair.Net.Lab.Folder), pair.Net.Lab.Folder);
        Play(pair, () =>
        {
            string road = Swanctl.Connection("home", "%any", Gateways.RightAddress, "vips = 0.0.0.0", Swanctl.Child("home", string.Empty, Gateways.RightNet));
            // Transport mode: both have the same address as right sees them, the NAT's; ports tell them apart.
            string Transport(int port) => Swanctl.Connection("host", "%any", Gateways.RightAddress, string.Empty, Swanctl.Child($"host{port}", "dynamic", $"dynamic[tcp/{port}]", "mode = transport"))
                .Replace("auth = psk", $"auth = psk\n      id = client{port}", StringComparison.Ordinal).Replace($"remote {{\n      auth = psk\n      id = client{port}", "remote {\n      auth = psk\n      id = server", StringComparison.Ordinal);
            pair.Left.Load(Swanctl.File(road, Transport(5301)));
            other.Load(Swanctl.File(road.Replace("auth = psk\n    }\n    remote", "auth = psk\n      id = second\n    }\n    remote", StringComparison.Ordinal), Transport(5302)));
            pair.Right.Load(Swanctl.FileWithPools("  pool {\n    addrs = 10.3.0.0/24\n  }\n",
                Swanctl.Connection("rw", Gateways.RightAddress, "%any", "pools = pool", Swanctl.Child("rw", Gateways.RightNet, string.Empty)),
                Swanctl.Connection("host", Gateways.RightAddress, "%any", string.Empty, Swanctl.Child("host5301", "dynamic[tcp/5301]", "dynamic", "mode = transport"), Swanctl.Child("host5302", "dynamic[tcp/5302]", "dynamic", "mode = transport"))
                    .Replace("local {\n      auth = psk", "local {\n      auth = psk\n      id = server", StringComparison.Ordinal)));
            Wiretap tap = pair.Net.Watch();
            pair.Left.Initiate("home");
            other.Initiate("home");
            pair.Left.Initiate("host5301");
            other.Initiate("host5302");
            // Each in turn and both at once, so that a mix-up of SAs or ports would show.
            BackgroundProcess one = Iperf.StartTcp(pair.Net.Left, pair.Net.RightHost, Gateways.RightHostAddress, 4, "-b", "20M", "--bidir");
            second.PingsThrough(Gateways.RightHostAddress, count: 10);
            Iperf.Tcp(second, pair.Net.Right, Gateways.RightLan, "4M");
            Iperf.Finish(one, TimeSpan.FromSeconds(60));
            BackgroundProcess transport = Iperf.StartTcpOn(5301, pair.Net.Left, pair.Net.Right, Gateways.RightAddress, 3, "-b", "20M", "--bidir");
            BackgroundProcess alsoTransport = Iperf.StartTcpOn(5302, second, pair.Net.Right, Gateways.RightAddress, 3, "-b", "20M", "--bidir");
            Iperf.Finish(transport, TimeSpan.FromSeconds(60));
            Iperf.Finish(alsoTransport, TimeSpan.FromSeconds(60));
            tap.Stop().AssertUdpEsp(30).AssertNothingClear(("10.3.0.0/24", Gateways.RightNet), (Gateways.NatAddress, "192.0.2.2"));
            Assert.Empty(Unexpected(pair));
            other.TerminateAll();
            other.AssertNoKernelErrors();
        });
    }

    /// <summary>Loads one connection that left starts; the address that left reaches right by.</summary>
    private static string Load(CharonPair pair, string options, string childOptions, bool networks)
    {
        bool twoNats = pair.Net.Middle == Middle.TwoNats;
        string peer = twoNats ? Gateways.NatAddress : Gateways.RightAddress;
        // Addresses say nothing about who is there.
        string Named(string connection, string local, string remote) => connection
            .Replace("local {\n      auth = psk", $"local {{\n      auth = psk\n      id = {local}", StringComparison.Ordinal)
            .Replace("remote {\n      auth = psk", $"remote {{\n      auth = psk\n      id = {remote}", StringComparison.Ordinal);
        (string left, string right) = networks ? (Gateways.LeftNet, Gateways.RightNet) : (string.Empty, string.Empty);
        pair.Left.Load(Swanctl.File(Named(Swanctl.Connection("site", "%any", peer, options, Swanctl.Child("net", left, right, childOptions)), "left", "right")));
        pair.Right.Load(Swanctl.File(Named(Swanctl.Connection("site", "%any", "%any", options, Swanctl.Child("net", right, left, childOptions)), "right", "left")));
        return peer;
    }

    private static void Rebind(CharonPair pair, string ports)
    {
        pair.Net.Nft($"flush ruleset\nadd table ip nat\nadd chain ip nat post {{ type nat hook postrouting priority 100; }}\nadd rule ip nat post oifname \"to-right\" ip protocol udp masquerade to :{ports}");
        // An address that goes takes its mappings with it.
        pair.Net.Wire.Ip("link set dev to-right down\nlink set dev to-right up");
    }

    // Packets on their way while charon moves an SA: it has no update for that, so it blocks, deletes and adds. One may find none, or one that has just gone.
    private static readonly string[] WhileSasMove =
        ["XfrmOutNoStates", "XfrmInNoStates", "XfrmInStateInvalid", "XfrmOutStateInvalid", "XfrmInNoPols", "XfrmInTmplMismatch", "XfrmOutPolBlock"];

    /// <summary>Counters that no NAT moves, and no moving of SAs.</summary>
    private static string[] Unexpected(CharonPair pair) =>
        [.. new[] { (pair.LeftDaemon, pair.Net.Left), (pair.RightDaemon, pair.Net.Right) }
            .SelectMany(side => side.Item1.Counters(side.Item2).Where(c => !WhileSasMove.Contains(c.Key)).Select(c => $"{side.Item2.Name}: {c.Key} {c.Value}"))];
}
