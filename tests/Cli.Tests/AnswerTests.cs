using System.Diagnostics;
using System.Text.Json;
using Xfrmd.Kernel;

namespace Xfrmd.Cli.Tests;

/// <summary>What commands say of a daemon with a tunnel.</summary>
public sealed class AnswerTests : IDisposable
{
    private readonly TestDaemon _daemon = new();

    public AnswerTests() => _daemon.AddTunnel();

    public void Dispose() => _daemon.Dispose();

    [Theory]
    [InlineData("status", "version namespace processId devices policies sas out drops")]
    [InlineData("stats", "name value meaning advice")]
    [InlineData("state", "source destination family protocol spi reqid mode state cipher selector bytes packets")]
    [InlineData("policy", "selector direction action priority index type templates")]
    [InlineData("drops", "counter packets flow why nearest")]
    [InlineData("explain", "verdict steps")]
    [InlineData("doctor", "name status found")]
    public void Json_is_valid_and_has_its_fields(string command, string fields)
    {
        using Timer drops = new(_ => _daemon.Space.Drop(XfrmCounter.InNoPols, new Flow { Family = AddressFamily.Inet, Saddr = XfrmAddress.Parse("10.9.0.1"), Daddr = XfrmAddress.Parse("10.1.0.1") }), null, 0, 50);
        Terminal answer = _daemon.Ask(command, [.. command == "explain" ? ["10.1.0.1", "10.2.0.1", "--dir", "in"] : Array.Empty<string>(), "--json"]);
        using JsonDocument json = JsonDocument.Parse(answer.Output);
        JsonElement first = json.RootElement.ValueKind == JsonValueKind.Array ? json.RootElement[0] : json.RootElement;
        Assert.All(fields.Split(' '), field => Assert.True(first.TryGetProperty(field, out _), $"{field} in {answer.Output}"));
    }

    [Fact]
    public void The_status_names_tunnels_sas_and_drops_in_plain_text()
    {
        _daemon.Space.Drop(XfrmCounter.InNoStates, default);
        Terminal status = _daemon.Ask("status");
        Assert.Equal((0, ""), (status.Code, status.Errors));
        Assert.Contains("10.1.0.0/16 → 10.2.0.0/16  protect", status.Output, StringComparison.Ordinal);
        Assert.Contains("esp 0x00001001 192.0.2.1 → 192.0.2.2  valid", status.Output, StringComparison.Ordinal);
        Assert.Contains("XfrmInNoStates 1: no SA for this destination", status.Output, StringComparison.Ordinal);
        Assert.DoesNotContain('\e', status.Output);
    }

    [Fact]
    public void Each_counter_has_a_meaning()
    {
        Terminal stats = _daemon.Ask("stats", "--all");
        string[] lines = stats.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2 * Enum.GetValues<XfrmCounter>().Length, lines.Length);
        Assert.All(Enum.GetValues<XfrmCounter>(), counter => Assert.Contains($"Xfrm{counter} ", stats.Output, StringComparison.Ordinal));
        Assert.All(lines.Where(l => l.StartsWith(' ')), line => Assert.True(line.Trim().Length > 10, line));
    }

    [Fact]
    public void Metrics_have_each_counter_and_what_there_is()
    {
        _daemon.Space.Drop(XfrmCounter.InNoStates, default);
        string text = _daemon.Ask("stats", "--prometheus").Output;
        Assert.Contains("# TYPE xfrmd_xfrm_packets_total counter\n", text, StringComparison.Ordinal);
        Assert.Contains("xfrmd_xfrm_packets_total{counter=\"XfrmInNoStates\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("xfrmd_sas{state=\"valid\"} 2\n", text, StringComparison.Ordinal);
        Assert.Contains("xfrmd_policies{dir=\"out\"} 1\n", text, StringComparison.Ordinal);
        Assert.All(Enum.GetValues<XfrmCounter>(), counter => Assert.Contains($"\"Xfrm{counter}\"", text, StringComparison.Ordinal));
    }

    [Fact]
    public void What_was_dropped_beneath_is_counted_too()
    {
        long[] before = _daemon.Space.Statistics.Snapshot();
        _daemon.Space.Statistics.Beneath = () => new Dictionary<XfrmCounter, long> { [XfrmCounter.InTmplMismatch] = 5 };
        Assert.Equal(before[(int)XfrmCounter.InTmplMismatch] + 5, _daemon.Space.Statistics.Snapshot()[(int)XfrmCounter.InTmplMismatch]);
        Assert.Contains("XfrmInTmplMismatch       5", _daemon.Ask("stats").Output, StringComparison.Ordinal);
        Assert.Contains("XfrmInTmplMismatch      \t5\n", _daemon.Space.Statistics.ToProcText(), StringComparison.Ordinal);
        _daemon.Space.Statistics.KeepBeneath();
        Assert.Equal(5, _daemon.Space.Statistics[XfrmCounter.InTmplMismatch]);
    }

    [Fact]
    public void Keys_are_shown_on_request_only()
    {
        Assert.DoesNotContain(TestDaemon.Key, _daemon.Ask("state", "--json").Output, StringComparison.Ordinal);
        Assert.Contains(TestDaemon.Key, _daemon.Ask("state", "--json", "--show-keys").Output, StringComparison.Ordinal);
        Terminal refused = _daemon.Ask("keys");
        Assert.Equal((1, ""), (refused.Code, refused.Output));
        Assert.Contains("--show-keys", refused.Errors, StringComparison.Ordinal);
        Assert.Equal(
            $"\"IPv4\",\"192.0.2.1\",\"192.0.2.2\",\"0x00001001\",\"AES-GCM with 16 octet ICV [RFC4106]\",\"0x{TestDaemon.Key}\",\"NULL\",\"\"",
            _daemon.Ask("keys", "--show-keys").Output.Split('\n').Single(l => l.Contains("1001", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("\taead rfc4106(gcm(aes)) 0x0001 (160 bits) 128", "\taead rfc4106(gcm(aes)) <<Keys hidden>> (160 bits) 128")]
    [InlineData("\tauth-trunc hmac(sha256) 0x2021 (256 bits) 128", "\tauth-trunc hmac(sha256) <<Keys hidden>> (256 bits) 128")]
    [InlineData("\tenc ecb(cipher_null)  (0 bits)", "\tenc ecb(cipher_null)  (0 bits)")]
    [InlineData("\tproto esp spi 0x00001001(4097) reqid 1(0x00000001) mode tunnel", "\tproto esp spi 0x00001001(4097) reqid 1(0x00000001) mode tunnel")]
    public void The_monitor_hides_keys_and_nothing_else(string line, string shown) => Assert.Equal(shown, Commands.MonitorCommand.HideKeys(line));

    [Fact]
    public void Drops_name_the_flow_and_what_came_nearest()
    {
        Flow flow = new() { Family = AddressFamily.Inet, Saddr = XfrmAddress.Parse("10.9.0.1"), Daddr = XfrmAddress.Parse("10.1.0.1"), Proto = IpProtocol.Udp, Dport = 53, Sport = 99 };
        using Timer drops = new(_ => _daemon.Space.Drop(XfrmCounter.InNoPols, flow), null, 0, 50);
        Terminal answer = _daemon.Ask("drops");
        Assert.Equal(0, answer.Code);
        Assert.Matches(@"XfrmInNoPols \d+/s  10\.9\.0\.1:99 → 10\.1\.0\.1:53 udp: .*nearest is 10\.2\.0\.0/16 → 10\.1\.0\.0/16, which differs in source", answer.Output);
    }

    [Theory]
    [InlineData(null, @"XfrmInPolBlock \d+/s  10\.9\.0\.1 → 10\.1\.0\.1 tcp: .*\nXfrmInPolBlock \d+/s  other flows, in clear: .*more than are told")]
    [InlineData("it is broken", @"\AXfrmInPolBlock \d+/s  in clear: .*of which flow is not known: it is broken")]
    public void Drops_beneath_have_their_flow_as_far_as_it_is_told(string? obstacle, string expected)
    {
        long counted = 0;
        _daemon.Space.Statistics.Beneath = () => new Dictionary<XfrmCounter, long> { [XfrmCounter.InPolBlock] = Interlocked.Add(ref counted, 100) };
        _daemon.Space.Drops.SetBeneath(() => new FakeDropSource(obstacle));
        Assert.Matches(expected, _daemon.Ask("drops").Output);
        (_daemon.Space.Statistics.Beneath, counted) = (null, 0);
        _daemon.Space.Drops.SetBeneath(null);
    }

    [Fact]
    public void Flush_empties_both_databases()
    {
        Assert.Equal("removed 2 SAs and 3 policies\n", _daemon.Ask("flush").Output);
        Assert.Equal((0, 0), (_daemon.Space.Sad.Count, _daemon.Space.Spd.Total));
        Assert.Contains("nothing to protect yet", _daemon.Ask("status").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_socket_is_the_owners_alone_and_who_asks_is_looked_at()
    {
        string path = _daemon.Socket + ".control";
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));

        // Even where its mode and its directory were opened to all.
        File.SetUnixFileMode(path, (UnixFileMode)0b110_110_110);
        File.SetUnixFileMode(Path.GetDirectoryName(path)!, (UnixFileMode)0b111_111_101);
        const string Ask = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(b'{\"Command\":\"status\",\"Namespace\":0}\\n'); print(s.recv(999))";
        using Process nobody = Process.Start(new ProcessStartInfo("setpriv", ["--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", Ask, path]) { RedirectStandardOutput = true })!;
        Assert.Contains("only root and the daemon", nobody.StandardOutput.ReadToEnd(), StringComparison.Ordinal);
    }

    private sealed class FakeDropSource(string? obstacle) : IDropSource
    {
        public string? Obstacle => obstacle;

        public void Drain(Action<DroppedPacket> tell)
        {
            if (obstacle is null)
            {
                Flow flow = new() { Family = AddressFamily.Inet, Saddr = XfrmAddress.Parse("10.9.0.1"), Daddr = XfrmAddress.Parse("10.1.0.1"), Proto = 6 };
                tell(new DroppedPacket(XfrmCounter.InPolBlock, flow, default, 1) { Beneath = true });
            }
        }

        public void Dispose()
        {
        }
    }
}
