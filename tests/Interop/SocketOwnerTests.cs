using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>Programs that ask for protection of a socket of their own, and need no policy in the database for it.</summary>
public sealed class SocketOwnerTests(ManualPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<ManualPair>
{
    private const string Esp = "in=esp out=esp", OldEsp = "in=pfkey-esp out=pfkey-esp";
    private static readonly string Program = Recording.PathOf("socket-policy.py");

    public static TheoryData<string, string, string, string> Conversations => new()
    {
        { "tcp", Gateways.LeftAddress, Gateways.RightAddress, Esp },
        { "tcp", Gateways.LeftAddress6, Gateways.RightAddress6, Esp },
        { "udp", Gateways.LeftAddress, Gateways.RightAddress, Esp },
        { "udp", Gateways.LeftAddress6, Gateways.RightAddress6, Esp },
        { "tcp", Gateways.LeftAddress, Gateways.RightAddress, OldEsp },
        { "udp", Gateways.LeftAddress6, Gateways.RightAddress6, OldEsp },
    };

    [Theory, MemberData(nameof(Conversations))]
    public void What_a_socket_says_is_protected_and_what_others_say_is_not(string protocol, string left, string right, string policies) => Play(pair, () =>
    {
        pair.AddStates(left, right, ManualPair.Gcm128, "transport", "replay-window 32");
        BackgroundProcess server = Serve(protocol, right, "");
        Wiretap clear = pair.Net.Watch();
        Assert.Equal("HELLO 0\n", Ask(protocol, right, ""));
        Assert.Equal(0, clear.Stop().RawEsp);
        server.Stop();
        server = Serve(protocol, right, policies);
        Wiretap tap = pair.Net.Watch();
        Assert.Equal("HELLO 0\n", Ask(protocol, right, policies));
        tap.Stop().AssertRawEsp(2).AssertNothingClear((left, right));
        long mismatches = Counter(pair.RightDaemon, pair.Net.Right, "XfrmInTmplMismatch");
        Assert.Equal("no answer\n", Ask(protocol, right, ""));
        Assert.True(Counter(pair.RightDaemon, pair.Net.Right, "XfrmInTmplMismatch") > mismatches, "what came in clear is counted");
        server.Stop();
        pair.Flush();
    });

    [Fact]
    public void A_socket_keeps_its_mark_and_its_policy() => Play(pair, () =>
    {
        pair.AddStates(Gateways.LeftAddress, Gateways.RightAddress, ManualPair.Gcm128, "transport", "replay-window 32");
        BackgroundProcess server = Serve("udp", Gateways.RightAddress, Esp);
        Wiretap tap = pair.Net.Watch();
        Assert.Equal("HELLO 291\n", Ask("udp", Gateways.RightAddress, Esp + " mark=291"));
        tap.Stop().AssertRawEsp(2).AssertNothingClear((Gateways.LeftAddress, Gateways.RightAddress));
        server.Stop();
        pair.Flush();
    });

    [Theory]
    [InlineData("out=block")]
    [InlineData("out=pfkey-block")]
    public void A_socket_that_may_not_send_is_told(string policies) => Play(pair, () =>
    {
        BackgroundProcess server = Serve("udp", Gateways.RightAddress, "");
        long blocked = Counter(pair.LeftDaemon, pair.Net.Left, "XfrmOutPolBlock");
        Assert.Equal("send: Operation not permitted\n", Ask("udp", Gateways.RightAddress, policies));
        Assert.Equal(blocked + 1, Counter(pair.LeftDaemon, pair.Net.Left, "XfrmOutPolBlock"));
        server.Stop();
    });

    [Theory]
    [InlineData("tcp")]
    [InlineData("udp")]
    public void A_socket_passes_by_the_policies_of_all(string protocol) => Play(pair, () =>
    {
        pair.LeftDaemon.IpXfrmBatch(
            pair.Net.Left, string.Concat(new[] { "out", "in" }.Select(direction => $"policy add dir {direction} proto {protocol} tmpl proto esp reqid 1 mode transport\n")));
        BackgroundProcess server = Serve(protocol, Gateways.RightAddress, "");
        Assert.Equal("no answer\n", Ask(protocol, Gateways.RightAddress, ""));
        Assert.Equal("HELLO 0\n", Ask(protocol, Gateways.RightAddress, "in=pass out=pass"));
        server.Stop();
        pair.Flush();
    });

    private BackgroundProcess Serve(string protocol, string address, string policies)
    {
        BackgroundProcess server = pair.Net.Right.Start("server", pair.RightDaemon.Attached(Arguments("server", protocol, address, policies)));
        server.WaitForLog("listens");
        return server;
    }

    private string Ask(string protocol, string address, string policies) => pair.Net.Left.Do(pair.LeftDaemon.Attached(Arguments("client", protocol, address, policies)));

    private static long Counter(XfrmdDaemon daemon, Host host, string name) => daemon.Counters(host).GetValueOrDefault(name);

    private static string[] Arguments(string role, string protocol, string address, string policies) =>
        ["python3", Program, role, protocol, address, "7001", .. policies.Split(' ', StringSplitOptions.RemoveEmptyEntries)];
}
