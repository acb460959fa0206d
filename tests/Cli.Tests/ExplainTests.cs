using Xfrmd.Crypto;
using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;

namespace Xfrmd.Cli.Tests;

/// <summary>Where a packet would go, and what is said where it would not.</summary>
public sealed class ExplainTests : IDisposable
{
    private const string Here = "10.1.0.1", There = "10.2.0.1";
    private readonly TestDaemon _daemon = new();
    private readonly string? _path = Environment.GetEnvironmentVariable("PATH");

    // Without ip nothing is said of routing, which is that of the machine that tests.
    public ExplainTests() => Environment.SetEnvironmentVariable("PATH", "/nonexistent");

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("PATH", _path);
        _daemon.Dispose();
    }

    [Fact]
    public void Covered_with_sa_is_protected()
    {
        _daemon.AddTunnel();
        Expect(0, "protected", "dir out 10.1.0.0/16 → 10.2.0.0/16", "esp 0x00001001", "from 192.0.2.1 to 192.0.2.2", "1446 bytes fit");
    }

    [Fact]
    public void Covered_by_nothing_goes_in_clear_and_names_what_is_near()
    {
        _daemon.AddTunnel();
        Terminal answer = Explain("10.1.0.1", "10.3.0.1");
        Assert.Equal(0, answer.Code);
        Assert.Contains("nearest is 10.1.0.0/16 → 10.2.0.0/16, which differs in destination", answer.Output, StringComparison.Ordinal);
        Assert.EndsWith("in clear\n", answer.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Blocked_is_dropped_and_counted()
    {
        _daemon.AddPolicy(PolicyDirection.Out, "10.1.0.0", "10.2.0.0", PolicyAction.Block);
        Expect(1, "dropped", "block", "XfrmOutPolBlock");
    }

    [Fact]
    public void Without_sa_it_is_pending_and_nothing_is_asked_for()
    {
        _daemon.AddPolicies();
        _daemon.AddSa(0x1001, "192.0.2.1", "192.0.2.2", reqid: 42);
        Expect(1, "pending", "none; nearest is esp 0x00001001", "which differs in reqid (42)", "XfrmOutNoStates");
        Assert.Equal(1, _daemon.Space.Sad.Count);
    }

    [Fact]
    public void A_sub_policy_leads_on_to_the_main_one()
    {
        _daemon.AddTunnel();
        lock (_daemon.Space.Gate)
        {
            foreach (PolicyDirection direction in (PolicyDirection[])[PolicyDirection.Out, PolicyDirection.In])
            {
                PolicyTemplate template = new() { Family = AddressFamily.Inet, Reqid = 9, Aalgos = uint.MaxValue, Ealgos = uint.MaxValue, Calgos = uint.MaxValue };
                template.Id.Proto = IpProtocol.Ah;
                XfrmSelector any = new() { Family = AddressFamily.Inet };
                Assert.True(_daemon.Space.Spd.Insert(new Policy { Type = PolicyType.Sub, Direction = direction, Selector = any, TemplateArray = [template] }, exclusive: true).IsOk);
            }
        }
        // Its own SA is missing, innermost on the way out and the last to come off on the way in.
        Expect(1, "pending", "dir out 0.0.0.0/0 → 0.0.0.0/0", "dir out 10.1.0.0/16 → 10.2.0.0/16", "ah", "none");
        string inbound = Explain(There, Here, "--dir", "in").Output;
        Assert.Contains("dir in 10.2.0.0/16 → 10.1.0.0/16", inbound, StringComparison.Ordinal);
        Assert.True(inbound.IndexOf("esp 0x00002002", StringComparison.Ordinal) < inbound.LastIndexOf("none; ", StringComparison.Ordinal), inbound);
        _daemon.AddSa(0x3003, Here, There, reqid: 9, change: sa =>
        {
            (sa.Id.Proto, sa.Mode, sa.Aead) = (IpProtocol.Ah, XfrmMode.Transport, null);
            sa.Auth = new SaAuth("hmac(sha256)", new SecretKey(new byte[32]), 256, 128);
        });
        Expect(0, "protected", "ah 0x00003003", "esp 0x00001001");
    }

    [Fact]
    public void An_sa_at_its_limit_is_told()
    {
        _daemon.AddPolicies();
        _daemon.AddSa(0x1001, "192.0.2.1", "192.0.2.2", change: sa => sa.Lifetime.HardPacketLimit = 1).Account(100, 1, 1);
        Expect(1, "dropped", "reached its hard limit", "XfrmOutStateExpired");
    }

    [Fact]
    public void An_sa_for_other_traffic_is_told()
    {
        _daemon.AddPolicies();
        _daemon.AddSa(0x1001, "192.0.2.1", "192.0.2.2", change: sa => sa.Selector = new XfrmSelector
        {
            Family = AddressFamily.Inet,
            Saddr = XfrmAddress.Parse("10.77.0.0"),
            Daddr = XfrmAddress.Parse("10.2.0.0"),
            PrefixlenS = 16,
            PrefixlenD = 16,
        });
        Expect(1, "pending", "which differs in selector (10.77.0.0/16 → 10.2.0.0/16)");
    }

    [Fact]
    public void Each_if_id_has_policies_of_its_own()
    {
        _daemon.AddPolicy(PolicyDirection.Out, "10.1.0.0", "10.2.0.0", ifId: 7);
        _daemon.AddSa(0x1001, "192.0.2.1", "192.0.2.2", change: sa => sa.IfId = 7);
        Assert.Contains("which differs in if_id", Explain(Here, There).Output, StringComparison.Ordinal);
        Assert.EndsWith("protected\n", Explain(Here, There, "--if-id", "7").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void An_ike_daemons_socket_bypasses()
    {
        _daemon.AddTunnel();
        _daemon.Bypassing.Add(new BypassPort(AddressFamily.Inet, 500));
        Terminal answer = Explain(Here, There, "udp", "500", "--sport", "500");
        Assert.Contains("UDP port 500 is an IKE daemon's socket with a bypass policy", answer.Output, StringComparison.Ordinal);
        Assert.EndsWith("in clear\n", answer.Output, StringComparison.Ordinal);
        Assert.EndsWith("protected\n", Explain(Here, There, "udp", "500", "--sport", "77").Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("in")]
    [InlineData("fwd")]
    public void The_way_in_asks_for_the_sa(string direction)
    {
        _daemon.AddTunnel();
        Terminal answer = Explain(There, Here, "--dir", direction);
        Assert.Equal(0, answer.Code);
        Assert.Contains($"dir {direction} 10.2.0.0/16 → 10.1.0.0/16", answer.Output, StringComparison.Ordinal);
        Assert.Contains("esp 0x00002002", answer.Output, StringComparison.Ordinal);
        Assert.Contains("opened", answer.Output, StringComparison.Ordinal);

        Assert.Contains("passes in clear", Explain("10.9.0.1", Here, "--dir", direction).Output, StringComparison.Ordinal);
        _daemon.Ask("flush");
        _daemon.AddPolicies();
        Terminal without = Explain(There, Here, "--dir", direction);
        Assert.Equal(1, without.Code);
        Assert.Contains("XfrmInNoStates", without.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_block_on_the_way_in_is_told()
    {
        _daemon.AddPolicy(PolicyDirection.In, "10.2.0.0", "10.1.0.0", PolicyAction.Block);
        Terminal answer = Explain(There, Here, "--dir", "in");
        Assert.Equal(1, answer.Code);
        Assert.Contains("XfrmInPolBlock", answer.Output, StringComparison.Ordinal);
    }

    private void Expect(int code, string verdict, params string[] told)
    {
        Terminal answer = Explain(Here, There);
        Assert.Equal(code, answer.Code);
        Assert.All(told, text => Assert.Contains(text, answer.Output, StringComparison.Ordinal));
        Assert.Contains($"⇒  {verdict}", answer.Output, StringComparison.Ordinal);
    }

    private Terminal Explain(string source, string destination, params string[] options) =>
        _daemon.Ask("explain", [source, destination, .. options.Contains("--dir") ? [] : (string[])["--dir", "out"], .. options]);
}
