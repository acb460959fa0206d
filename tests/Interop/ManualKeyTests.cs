using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>SAs and policies by <c>ip xfrm</c> alone: the student's path, without IKE.</summary>
public sealed class ManualKeyTests(ManualPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<ManualPair>
{
    private const string Key128 = "0x000102030405060708090a0b0c0d0e0f", Key192 = Key128 + "1011121314151617", Key256 = Key192 + "18191a1b1c1d1e1f";
    private const string Salt = "a0a1a2a3";
    private const string Sha1Key = "0x202122232425262728292a2b2c2d2e2f30313233", Sha256Key = Sha1Key + "3435363738393a3b3c3d3e3f";
    private const string Sha384Key = Sha256Key + "404142434445464748494a4b4c4d4e4f", Sha512Key = Sha384Key + "505152535455565758595a5b5c5d5e5f";

    public static TheoryData<string> Algorithms =>
    [
        $"aead rfc4106(gcm(aes)) {Key128}{Salt} 128", $"aead rfc4106(gcm(aes)) {Key128}{Salt} 96", $"aead rfc4106(gcm(aes)) {Key128}{Salt} 64",
        $"aead rfc4106(gcm(aes)) {Key192}{Salt} 128", $"aead rfc4106(gcm(aes)) {Key256}{Salt} 128", $"aead rfc4106(gcm(aes)) {Key256}{Salt} 64",
        $"enc cbc(aes) {Key128} auth hmac(sha1) {Sha1Key}",
        $"enc cbc(aes) {Key192} auth-trunc hmac(sha256) {Sha256Key} 128",
        $"enc cbc(aes) {Key256} auth hmac(sha384) {Sha384Key}",
        $"enc cbc(aes) {Key256} auth hmac(sha512) {Sha512Key}",
        $"aead rfc7539esp(chacha20,poly1305) {Key256}{Salt} 128",
    ];

    [Theory, MemberData(nameof(Algorithms))]
    public void Each_algorithm_carries_traffic(string algorithms) =>
        Tunnel(Gateways.LeftAddress, Gateways.RightAddress, Gateways.LeftNet, Gateways.RightNet, Gateways.LeftHostAddress, Gateways.RightHostAddress, algorithms, string.Empty);

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Each_family_goes_in_each(bool inner6, bool outer6) => Tunnel(
        outer6 ? Gateways.LeftAddress6 : Gateways.LeftAddress, outer6 ? Gateways.RightAddress6 : Gateways.RightAddress,
        inner6 ? Gateways.LeftNet6 : Gateways.LeftNet, inner6 ? Gateways.RightNet6 : Gateways.RightNet,
        inner6 ? Gateways.LeftHostAddress6 : Gateways.LeftHostAddress, inner6 ? Gateways.RightHostAddress6 : Gateways.RightHostAddress,
        ManualPair.Gcm128, string.Empty);

    [Theory]
    [InlineData("replay-window 32")]
    [InlineData("replay-window 64")]
    [InlineData("replay-window 4096")]
    [InlineData("replay-window 128 flag esn")]
    public void Each_replay_window_lets_good_packets_pass(string options) => Tunnel(
        Gateways.LeftAddress, Gateways.RightAddress, Gateways.LeftNet, Gateways.RightNet, Gateways.LeftHostAddress, Gateways.RightHostAddress, ManualPair.Gcm128, options);

    [Theory]
    [InlineData(Gateways.LeftAddress, Gateways.RightAddress)]
    [InlineData(Gateways.LeftAddress6, Gateways.RightAddress6)]
    public void Transport_mode_protects_what_two_machines_say(string left, string right) => Play(pair, () =>
    {
        pair.AddStates(left, right, ManualPair.Gcm128, "transport", "replay-window 32");
        pair.AddPolicies(left, right, left, right, "transport");
        Wiretap tap = pair.Net.Watch();
        pair.Net.Left.PingsThrough(right);
        pair.Net.Right.PingsThrough(left);
        Iperf.Tcp(pair.Net.Left, pair.Net.Right, right, "5M");
        tap.Stop().AssertRawEsp(12).AssertNothingClear((left, right));
        pair.Flush();
    });

    [Theory]
    [InlineData(Gateways.LeftAddress, Gateways.RightAddress)]
    [InlineData(Gateways.LeftAddress6, Gateways.RightAddress6)]
    public void An_ipcomp_tunnel_alone_carries_what_gains_and_what_does_not(string left, string right) => Play(pair, () =>
    {
        foreach ((XfrmdDaemon daemon, Host host, bool isLeft) in new[] { (pair.LeftDaemon, pair.Net.Left, true), (pair.RightDaemon, pair.Net.Right, false) })
        {
            (string own, string peer, string ownNet, string peerNet) = isLeft ? (left, right, Gateways.LeftNet, Gateways.RightNet) : (right, left, Gateways.RightNet, Gateways.LeftNet);
            // Packets that are too short come uncompressed: on the way in the template must be optional (level use), as with Linux.
            string lines = string.Concat(new[] { (left, right), (right, left) }.Select(ends =>
                $"state add src {ends.Item1} dst {ends.Item2} proto comp spi {(ends.Item1 == left ? 0x1001 : 0x2002)} reqid 1 mode tunnel flag af-unspec comp deflate\n"));
            daemon.IpXfrmBatch(host, lines +
                $"policy add src {ownNet} dst {peerNet} dir out tmpl src {own} dst {peer} proto comp reqid 1 mode tunnel\n" +
                $"policy add src {peerNet} dst {ownNet} dir in tmpl src {peer} dst {own} proto comp reqid 1 mode tunnel level use\n" +
                $"policy add src {peerNet} dst {ownNet} dir fwd tmpl src {peer} dst {own} proto comp reqid 1 mode tunnel level use\n");
        }
        (IReadOnlyDictionary<string, long> leftBefore, IReadOnlyDictionary<string, long> rightBefore) = (pair.LeftDaemon.Counters(pair.Net.Left), pair.RightDaemon.Counters(pair.Net.Right));
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 1000);
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, "2M");
        Assert.Equal(leftBefore, pair.LeftDaemon.Counters(pair.Net.Left));
        Assert.Equal(rightBefore, pair.RightDaemon.Counters(pair.Net.Right));
        pair.Flush();
    });

    [Theory]
    [InlineData(Gateways.LeftAddress, Gateways.RightAddress)]
    [InlineData(Gateways.LeftAddress6, Gateways.RightAddress6)]
    public void An_sa_that_asks_for_nat_keepalives_sends_them(string left, string right) => Play(pair, () =>
    {
        const string Listen = "import socket,sys\ns=socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET,socket.SOCK_DGRAM)\n" +
            "s.bind((sys.argv[1],4500))\nprint('bound',flush=True)\nfor n in range(3):\n d,a=s.recvfrom(99)\n print(n,d.hex(),*a[:2],flush=True)";
        BackgroundProcess listener = pair.Net.Right.Start("listener", "python3", "-c", Listen, right);
        listener.WaitForLog("bound");
        string add = Recording.PathOf("nat-keepalive.py");
        pair.Net.Left.Do(pair.LeftDaemon.Attached("python3", add, left, right, "1"));
        Assert.Contains("0x00001001", pair.LeftDaemon.IpXfrm(pair.Net.Left, "state"), StringComparison.Ordinal);
        listener.WaitForLog($"2 ff {left} 4500");
        pair.Flush();
    });

    [Fact]
    public void A_deleted_sa_drops_what_policy_covers() => Play(pair, () =>
    {
        pair.AddStates(Gateways.LeftAddress, Gateways.RightAddress, ManualPair.Gcm128);
        pair.AddPolicies(Gateways.LeftAddress, Gateways.RightAddress, Gateways.LeftNet, Gateways.RightNet);
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.LeftDaemon.IpXfrm(pair.Net.Left, "state flush");
        pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
        pair.Net.Left.PingsInVain(Gateways.RightHostAddress, from: Gateways.LeftLan);
        pair.Net.RightHost.PingsInVain(Gateways.LeftHostAddress);
        tap.Stop().AssertRawEsp(6).AssertNothingClear((Gateways.LeftNet, Gateways.RightNet));
        pair.Flush();
    });

    [Theory]
    [InlineData("limit packet-hard 5")]
    [InlineData("limit byte-hard 500")]
    [InlineData("limit time-hard 2")]
    public void An_expired_sa_drops_what_policy_covers(string limit) => Play(pair, () =>
    {
        pair.AddStates(Gateways.LeftAddress, Gateways.RightAddress, ManualPair.Gcm128, options: limit);
        pair.AddPolicies(Gateways.LeftAddress, Gateways.RightAddress, Gateways.LeftNet, Gateways.RightNet);
        Wiretap tap = pair.Net.Watch();
        PingResult ping = pair.Net.LeftHost.Ping(Gateways.RightHostAddress, count: 30, interval: 0.15, wait: 0.5);
        Assert.InRange(ping.Received, 1, 29);
        pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
        Assert.DoesNotContain("spi 0x00001001", pair.LeftDaemon.IpXfrm(pair.Net.Left, "state"), StringComparison.Ordinal);
        tap.Stop().AssertRawEsp().AssertNothingClear((Gateways.LeftNet, Gateways.RightNet));
        pair.Flush();
    });

    [Fact]
    public void A_blocking_policy_blocks_and_a_better_one_lets_pass() => Play(pair, () =>
    {
        pair.LeftDaemon.IpXfrmBatch(pair.Net.Left, $"policy add src {Gateways.LeftNet} dst {Gateways.RightNet} dir out action block priority 100");
        pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
        pair.LeftDaemon.IpXfrmBatch(pair.Net.Left, $"policy add src {Gateways.LeftHostAddress} dst {Gateways.RightHostAddress} dir out action allow priority 50");
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.Left.PingsInVain(Gateways.RightHostAddress, from: Gateways.LeftLan);
        pair.Flush();
        pair.Net.Left.PingsThrough(Gateways.RightHostAddress, from: Gateways.LeftLan);
    });

    [Fact]
    public void Plaintext_that_an_inbound_policy_forbids_is_dropped() => Play(pair, () =>
    {
        // Only the right side has policies: what left sends in clear must not get behind it, nor to it.
        pair.RightDaemon.IpXfrmBatch(pair.Net.Right,
            $"policy add src {Gateways.LeftNet} dst {Gateways.RightNet} dir in tmpl src {Gateways.LeftAddress} dst {Gateways.RightAddress} proto esp reqid 1 mode tunnel\n" +
            $"policy add src {Gateways.LeftNet} dst {Gateways.RightNet} dir fwd tmpl src {Gateways.LeftAddress} dst {Gateways.RightAddress} proto esp reqid 1 mode tunnel");
        Wiretap behind = new(pair.Net.Lab, pair.Net.RightHost, "eth0", "10.2.0");
        pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
        pair.Net.LeftHost.PingsInVain(Gateways.RightLan);
        behind.Stop().AssertNothingClear((Gateways.LeftNet, Gateways.RightNet));
        pair.Flush();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
    });

    [Fact]
    public void Devices_that_forward_one_by_one_are_enough() => Play(pair, () =>
    {
        // In Linux the device by which the protected packet came decides, not net.ipv4.ip_forward.
        Host right = pair.Net.Right;
        pair.AddStates(Gateways.LeftAddress, Gateways.RightAddress, ManualPair.Gcm128, "tunnel", "replay-window 32");
        pair.AddPolicies(Gateways.LeftAddress, Gateways.RightAddress, Gateways.LeftNet, Gateways.RightNet);
        try
        {
            right.Sysctl("ipv4/ip_forward", "0");
            pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
            right.Sysctl("ipv4/conf/lan/forwarding", "1");
            pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
            right.Sysctl("ipv4/conf/wan/forwarding", "1");
            pair.Net.LeftHost.PingsAgain(Gateways.RightHostAddress);
            right.Sysctl("ipv4/conf/wan/forwarding", "0");
            Wait.Until(() => right.Shell("cat /proc/sys/net/ipv4/conf/ipsec0/forwarding").Trim() == "0", "the TUN forwards no more");
            pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
        }
        finally
        {
            right.Sysctl("ipv4/ip_forward", "1");
        }
        pair.Net.LeftHost.PingsAgain(Gateways.RightHostAddress);
    });

    private void Tunnel(string left, string right, string leftNet, string rightNet, string leftHost, string rightHost, string algorithms, string options) => Play(pair, () =>
    {
        pair.AddStates(left, right, algorithms, options: options);
        pair.AddPolicies(left, right, leftNet, rightNet);
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(rightHost);
        pair.Net.RightHost.PingsThrough(leftHost, size: 1000);
        Iperf.Tcp(pair.Net.LeftHost, pair.Net.RightHost, rightHost, "2M");
        tap.Stop().AssertRawEsp(12).AssertNothingClear((leftNet, rightNet));
        pair.Flush();
        pair.Net.LeftHost.PingsThrough(rightHost);
    });
}
