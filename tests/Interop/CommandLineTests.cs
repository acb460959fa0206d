using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>The commands of people, with real traffic: what they print, what Wireshark makes of what they write.</summary>
[Collection(Alone.Name)]
public sealed class CommandLineTests(ManualPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<ManualPair>
{
    private const string Key = "0x000102030405060708090a0b0c0d0e0f10111213";   // ManualPair.Gcm128
    private const string Key128 = "0x000102030405060708090a0b0c0d0e0f", Key192 = Key128 + "1011121314151617", Key256 = Key192 + "18191a1b1c1d1e1f", Salt = "a0a1a2a3";
    private const string Sha1Key = "0x202122232425262728292a2b2c2d2e2f30313233", Sha256Key = Sha1Key + "3435363738393a3b3c3d3e3f";
    private const string Sha384Key = Sha256Key + "404142434445464748494a4b4c4d4e4f", Sha512Key = Sha384Key + "505152535455565758595a5b5c5d5e5f";

    private static readonly string[] Algorithms =
    [
        $"aead rfc4106(gcm(aes)) {Key128}{Salt} 64", $"aead rfc4106(gcm(aes)) {Key128}{Salt} 96", $"aead rfc4106(gcm(aes)) {Key128}{Salt} 128",
        $"aead rfc4106(gcm(aes)) {Key256}{Salt} 128",
        $"enc cbc(aes) {Key128} auth hmac(sha1) {Sha1Key}",
        $"enc cbc(aes) {Key192} auth-trunc hmac(sha256) {Sha256Key} 128",
        $"enc cbc(aes) {Key256} auth hmac(sha384) {Sha384Key}",
        $"enc cbc(aes) {Key256} auth hmac(sha512) {Sha512Key}",
        $"enc rfc3686(ctr(aes)) {Key128}{Salt} auth-trunc hmac(sha256) {Sha256Key} 128",
        $"enc ecb(cipher_null) \"\" auth hmac(sha1) {Sha1Key}",
        $"enc cbc(des3_ede) {Key192} auth hmac(sha1) {Sha1Key}",
    ];

    [Theory]
    [InlineData("")]
    [InlineData("encap espinudp 4500 4500 0.0.0.0")]
    public void Wireshark_decrypts_and_verifies_with_the_table_that_keys_prints(string encap) => Play(pair, () =>
    {
        Host left = pair.Net.Left;
        string file = Path.Combine(pair.Net.Lab.Folder, $"keys-{encap.Length}.pcap");
        BackgroundProcess tcpdump = pair.Net.Wire.Start("tcpdump-keys", Toolbox.Find("tcpdump"), "-n", "-i", "to-left", "-U", "--immediate-mode", "-Z", "root", "-w", file, "ip proto 50 or udp port 4500");
        tcpdump.WaitForLog("listening on");
        List<string> table = [];
        pair.AddPolicies(Gateways.LeftAddress, Gateways.RightAddress, Gateways.LeftNet, Gateways.RightNet);
        for (int i = 0; i < Algorithms.Length; i++)
        {
            // Only the way there: it is what the wire carries that counts.
            pair.LeftDaemon.IpXfrmBatch(left, $"state add src {Gateways.LeftAddress} dst {Gateways.RightAddress} proto esp spi {0x100 + i} reqid 1 mode tunnel {Algorithms[i]} {encap}");
            left.Ping(Gateways.RightLan, count: 2, from: Gateways.LeftLan, wait: 0.2);
            table.AddRange(Xfrmd(left, "keys", "--show-keys").Split('\n', StringSplitOptions.RemoveEmptyEntries));
            pair.LeftDaemon.IpXfrm(left, "state flush");
        }
        Wait.Until(() => Tshark.Read(file, [], "esp.spi").Count >= 2 * Algorithms.Length, "the wire carried every packet");
        tcpdump.Stop("INT");
        Assert.Equal(Algorithms.Length, table.Count);
        IReadOnlyList<IReadOnlyList<string>> packets = Tshark.Read(file, table, "esp.spi", "esp.icv_good", "icmp.type", "udp.port");
        for (int i = 0; i < Algorithms.Length; i++)
        {
            string spi = string.Create(CultureInfo.InvariantCulture, $"0x{0x100 + i:x8}");
            IReadOnlyList<string>[] its = [.. packets.Where(p => p[0] == spi)];
            Assert.Equal(2, its.Length);
            Assert.All(its, p => Assert.True(p[1] is "1" or "True" && p[2] == "8", $"{Algorithms[i]}: ICV \"{p[1]}\", ICMP \"{p[2]}\""));
            Assert.All(its, p => Assert.Equal(encap.Length > 0, p[3] == "4500"));
        }
        pair.Flush();
    });

    [Fact]
    public void A_capture_shows_both_sides_and_names_the_sa_of_each_packet() => Play(pair, () =>
    {
        Tunnel();
        string file = Path.Combine(pair.Net.Lab.Folder, "tunnel.pcapng");
        BackgroundProcess capture = pair.Net.Left.Start("capture", [Toolbox.Xfrmd, "capture", "--socket", pair.LeftDaemon.Socket, "--with-keys", "-w", file]);
        capture.WaitForLog("Ctrl-C ends it");
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        // What the peer sends after its SA went here is dropped, and the capture says so.
        pair.LeftDaemon.IpXfrm(pair.Net.Left, $"state delete src {Gateways.RightAddress} dst {Gateways.LeftAddress} proto esp spi 0x2002");
        pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress, count: 1);
        Assert.True(capture.Stop("INT"));
        Assert.Equal(0, capture.ExitCode);
        // Three of four packets each; of the last one no answer came out.
        Assert.Contains("15 packets, 0 lost", capture.Log, StringComparison.Ordinal);

        IReadOnlyList<IReadOnlyList<string>> packets = Tshark.Read(file, [], "frame.interface_name", "ip.src", "_ws.col.Protocol", "frame.comment");
        string[] cycle = [.. packets.Take(4).Select(p => $"{p[0]} {p[1]} {p[2]} {p[3]}")];
        const string There = "out esp spi 0x00001001 src 192.0.2.1 dst 192.0.2.2 reqid 1 tunnel", Back = "in esp spi 0x00002002 src 192.0.2.2 dst 192.0.2.1 reqid 1 tunnel";
        Assert.Equal(
        [
            $"ipsec-clear 10.1.0.2 ICMP {There}", $"ipsec-esp 192.0.2.1 ESP {There}", $"ipsec-esp 192.0.2.2 ESP {Back}", $"ipsec-clear 10.2.0.2 ICMP {Back}",
        ], cycle);
        Assert.Equal("in esp 0x00002002, no such SA here; dropped: XfrmInNoStates, no SA for this destination, SPI and protocol", packets[^1][3]);
        pair.Flush();
    });

    [Fact]
    public void A_capture_ends_by_itself_and_can_be_narrowed() => Play(pair, () =>
    {
        Tunnel();
        string file = Path.Combine(pair.Net.Lab.Folder, "clear.pcapng");
        BackgroundProcess capture = pair.Net.Left.Start(
            "capture", [Toolbox.Xfrmd, "capture", "--socket", pair.LeftDaemon.Socket, "--side", "clear", "--host", Gateways.RightHostAddress, "--count", "3", "-s", "64", "-w", file]);
        capture.WaitForLog("Ctrl-C ends it");
        pair.Net.Left.PingsThrough(Gateways.RightLan, from: Gateways.LeftLan);
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress, size: 500);
        Assert.True(capture.WaitForExit(TimeSpan.FromSeconds(60)));
        Assert.Equal(0, capture.ExitCode);
        IReadOnlyList<IReadOnlyList<string>> packets = Tshark.Read(file, [], "frame.interface_name", "frame.cap_len", "frame.len");
        Assert.Equal(3, packets.Count);
        Assert.All(packets, p => Assert.Equal(["ipsec-clear", "64", "528"], p));
        pair.Flush();
    });

    [Fact]
    public void State_policy_and_monitor_are_those_of_ip() => Play(pair, () =>
    {
        Host left = pair.Net.Left;
        BackgroundProcess ours = left.Start("monitor", [Toolbox.Xfrmd, "monitor", "--socket", pair.LeftDaemon.Socket]);
        BackgroundProcess theirs = left.Start("ip-monitor", pair.LeftDaemon.Attached(Toolbox.Find("ip"), "-s", "xfrm", "monitor", "nokeys"));
        // Both listen once both have told one thing.
        int probe = 0;
        Wait.Until(() =>
        {
            pair.LeftDaemon.IpXfrm(left, string.Create(CultureInfo.InvariantCulture, $"policy add src 10.99.{++probe}.0/24 dst 10.98.0.0/24 dir out"));
            return ours.Log.Length > 0 && theirs.Log.Length > 0;
        }, "both monitors listen");
        Tunnel();
        Assert.Equal(Ip(left, "state", "list", "nokeys"), Xfrmd(left, "state"));
        Assert.Equal(Ip(left, "state", "list"), Xfrmd(left, "state", "--show-keys"));
        Assert.Equal(Ip(left, "policy", "list"), Xfrmd(left, "policy"));
        Assert.DoesNotContain("0x000102030405", Xfrmd(left, "state"), StringComparison.Ordinal);
        Assert.Contains("0x000102030405", Xfrmd(left, "state", "--show-keys"), StringComparison.Ordinal);
        pair.LeftDaemon.IpXfrm(left, "state flush");
        Wait.Until(() => ours.Log.Contains("Flushed state", StringComparison.Ordinal) && theirs.Log.Contains("Flushed state", StringComparison.Ordinal), "both monitors tell the flush");
        string tunnel = ours.Log[ours.Log.IndexOf("src 192.0.2.1", StringComparison.Ordinal)..];
        // Debian's ip hides no keys of new SAs, whatever it is told.
        Assert.Equal(theirs.Log[theirs.Log.IndexOf("src 192.0.2.1", StringComparison.Ordinal)..].Replace(Key, "<<Keys hidden>>", StringComparison.Ordinal), tunnel);
        Assert.Contains("<<Keys hidden>>", tunnel, StringComparison.Ordinal);
        pair.Flush();
    });

    [Fact]
    public void Explain_and_drops_agree_with_what_happens() => Play(pair, () =>
    {
        Tunnel();
        Host left = pair.Net.Left, right = pair.Net.Right;
        Assert.EndsWith("⇒  protected\n", Xfrmd(left, "explain", Gateways.LeftHostAddress, Gateways.RightHostAddress, "icmp"), StringComparison.Ordinal);
        Assert.Contains("opened", Xfrmd(right, "explain", Gateways.LeftHostAddress, Gateways.RightHostAddress, "icmp"), StringComparison.Ordinal);
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);

        // The right side loses its SAs: what comes is dropped, and what would go.
        BackgroundProcess drops = right.Start("drops", [Toolbox.Xfrmd, "drops", "--follow", "--json", "--socket", pair.RightDaemon.Socket]);
        Wait.Until(() => drops.Log.Contains("[]", StringComparison.Ordinal), "drops are watched");
        pair.RightDaemon.IpXfrm(right, "state flush");
        Assert.EndsWith("⇒  pending: an SA is missing\n", Explain(right, 1, Gateways.RightHostAddress, Gateways.LeftHostAddress), StringComparison.Ordinal);
        Assert.Contains("XfrmInNoStates", Explain(right, 1, Gateways.LeftHostAddress, Gateways.RightHostAddress), StringComparison.Ordinal);
        pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
        pair.Net.RightHost.PingsInVain(Gateways.LeftHostAddress);
        // And in clear nothing gets past it.
        pair.LeftDaemon.IpXfrmBatch(left, "policy flush\nstate flush");
        pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
        string[] kinds = ["XfrmInNoStates", "XfrmOutNoStates", "XfrmInTmplMismatch"];
        Wait.Until(() => kinds.All(kind => drops.Log.Contains(kind, StringComparison.Ordinal)), "each kind of drop is told");
        drops.Stop();
        JsonElement[] told = Told(drops);
        Assert.Contains(told, d => d.GetProperty("counter").GetString() == "XfrmInNoStates" && d.GetProperty("flow").GetString() == "192.0.2.1 → 192.0.2.2 esp spi 0x00001001");
        Assert.Contains(told, d => d.GetProperty("counter").GetString() == "XfrmOutNoStates" && d.GetProperty("flow").GetString() == "10.2.0.2 → 10.1.0.2 icmp"
            && d.GetProperty("nearest").GetString()!.Contains("10.2.0.0/16 → 10.1.0.0/16 asks for esp tunnel reqid 1", StringComparison.Ordinal));
        // What never reached the daemon has its flow too.
        Assert.Contains(told, d => d.GetProperty("counter").GetString() == "XfrmInTmplMismatch" && d.GetProperty("flow").GetString() == "10.1.0.2 → 10.2.0.2 icmp"
            && d.GetProperty("nearest").GetString()!.Contains("10.1.0.0/16 → 10.2.0.0/16 asks for esp tunnel reqid 1", StringComparison.Ordinal));
        // The counters that a program reads are the same.
        string stat = right.Do(pair.RightDaemon.Attached("/bin/cat", "/proc/net/xfrm_stat"));
        Assert.Matches(@"XfrmInTmplMismatch\s+[1-9]", stat);
        Assert.Matches(@"XfrmInTmplMismatch\s+[1-9]", Xfrmd(right, "stats"));
        pair.Flush();
    });

    [Theory]
    [InlineData("XfrmInPolBlock", "policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir fwd action block", true)]
    [InlineData("XfrmInNoPols", "policy setdefault in accept fwd block out accept", true)]
    [InlineData("XfrmOutPolBlock", "policy add src 10.2.0.0/16 dst 10.1.0.0/16 dir out action block", false)]
    [InlineData("(uncounted)", "policy setdefault in accept fwd accept out block", false)]
    public void Drops_of_a_policy_name_their_flow(string counter, string rule, bool inbound) => Play(pair, () =>
    {
        // No tunnel: what one host sends in clear the right gateway does not let through.
        Host right = pair.Net.Right;
        BackgroundProcess drops = right.Start("drops", [Toolbox.Xfrmd, "drops", "--follow", "--json", "--socket", pair.RightDaemon.Socket]);
        Wait.Until(() => drops.Log.Contains("[]", StringComparison.Ordinal), "drops are watched");
        pair.RightDaemon.IpXfrm(right, rule);
        (Host from, string to) = inbound ? (pair.Net.LeftHost, Gateways.RightHostAddress) : (pair.Net.RightHost, Gateways.LeftHostAddress);
        string flow = inbound ? "10.1.0.2 → 10.2.0.2 icmp" : "10.2.0.2 → 10.1.0.2 icmp";
        try
        {
            from.PingsInVain(to);
            Wait.Until(() => Told(drops).Any(d => d.GetProperty("counter").GetString() == counter && d.GetProperty("flow").GetString() == flow), $"{counter} of {flow} is told");
            // Linux counts none where the default of the way out blocks.
            Assert.True(counter == "(uncounted)" || Regex.IsMatch(Xfrmd(right, "stats"), counter + @"\s+[1-9]"));
        }
        finally
        {
            pair.RightDaemon.IpXfrm(right, "policy setdefault in accept fwd accept out accept");
        }
        pair.Flush();
        from.PingsThrough(to);
        drops.Stop();
    });

    [Theory]
    [InlineData("bash", "source <(xfrmd completion bash); COMP_LINE='xfrmd sta' COMP_POINT=9 COMP_CWORD=1; COMP_WORDS=(xfrmd sta); _xfrmd; printf '%s\\n' \"${COMPREPLY[@]}\"")]
    [InlineData("fish", "source (xfrmd completion fish | psub); complete -C 'xfrmd sta'")]
    [InlineData("zsh", "compdef() { :; }; source <(xfrmd completion zsh); compadd() { shift; print -l -- $@; }; CURSOR=9; BUFFER='xfrmd sta'; _xfrmd")]
    public void Each_shell_completes(string shell, string script)
    {
        string path = $"{Path.GetDirectoryName(Toolbox.Xfrmd)}:/usr/sbin:/usr/bin:/sbin:/bin";
        CommandResult result = Command.Run(["/usr/bin/env", "PATH=" + path, Toolbox.Find(shell), "-c", script]);
        string[] words = result.OrFail().Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["state", "stats", "status"], words.Where(w => w.StartsWith("sta", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Who_may_not_is_told_what_to_do() => Play(pair, () =>
    {
        string[] nobody = [Toolbox.Find("setpriv"), "--reuid=65534", "--clear-groups", Toolbox.Xfrmd];
        CommandResult status = Command.Run([.. nobody, "status", "--socket", pair.LeftDaemon.Socket]);
        Assert.Equal(1, status.ExitCode);
        Assert.Matches(@"\Axfrmd status: [^\n]* run this as root[^\n]*\n\z", status.Errors);
        CommandResult doctor = Command.Run([.. nobody, "doctor"]);
        Assert.Equal(1, doctor.ExitCode);
        Assert.Contains("FAIL CAP_NET_ADMIN", doctor.Output, StringComparison.Ordinal);
        Assert.Contains("xfrmd cannot run here", doctor.Output, StringComparison.Ordinal);
        Assert.Contains("xfrmd can run here", pair.Net.Left.Do(Toolbox.Xfrmd, "doctor", "--socket", pair.LeftDaemon.Socket), StringComparison.Ordinal);
        CommandResult state = Command.Run([Toolbox.Xfrmd, "state", "--socket", "/nonexistent/s"]);
        Assert.Equal(1, state.ExitCode);
        Assert.StartsWith("xfrmd state: no daemon at /nonexistent/s", state.Errors, StringComparison.Ordinal);
    });

    /// <summary>All that has been told in whole lines.</summary>
    private static JsonElement[] Told(BackgroundProcess drops) =>
        [.. drops.Log.Split('\n')[..^1].SelectMany(line => JsonDocument.Parse(line).RootElement.EnumerateArray())];

    private void Tunnel()
    {
        pair.AddStates(Gateways.LeftAddress, Gateways.RightAddress, ManualPair.Gcm128);
        pair.AddPolicies(Gateways.LeftAddress, Gateways.RightAddress, Gateways.LeftNet, Gateways.RightNet);
    }

    private string Explain(Host host, int code, params string[] arguments)
    {
        CommandResult result = host.Run([Toolbox.Xfrmd, "explain", .. arguments, "--socket", SocketOf(host)]);
        Assert.Equal(code, result.ExitCode);
        return result.Output;
    }

    private string Ip(Host host, params string[] arguments) => host.Do(pair.LeftDaemon.Attached([Toolbox.Find("ip"), "-s", "xfrm", .. arguments]));

    [Fact]
    public void Prometheus_reads_the_metrics() => Play(pair, () =>
    {
        pair.LeftDaemon.IpXfrmBatch(pair.Net.Left, $"state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x77 aead rfc4106(gcm(aes)) {Key} 128");
        string file = Path.Combine(pair.Net.Lab.Folder, "xfrmd.prom");
        File.WriteAllText(file, Xfrmd(pair.Net.Left, "stats", "--prometheus"));
        const string Reader = """
            import sys
            from prometheus_client.parser import text_string_to_metric_families
            for family in text_string_to_metric_families(open(sys.argv[1]).read()):
                print(family.name, family.type, len(family.samples), sum(s.value for s in family.samples if s.labels.get("state") == "valid"))
            """;
        string[] read = Command.Run([Toolbox.Find("python3"), "-c", Reader, file]).OrFail().Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains(read, line => line.StartsWith("xfrmd_xfrm_packets counter ", StringComparison.Ordinal));
        Assert.Contains("xfrmd_sas gauge 1 1.0", read);
        Assert.Contains("xfrmd_policies gauge 3 0", read);
    });

    private string Xfrmd(Host host, params string[] arguments) => host.Do([Toolbox.Xfrmd, .. arguments, "--socket", SocketOf(host)]);

    private string SocketOf(Host host) => host == pair.Net.Left ? pair.LeftDaemon.Socket : pair.RightDaemon.Socket;
}
