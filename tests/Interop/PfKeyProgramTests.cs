using System.Text.RegularExpressions;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>What OpenIKED does not ask of PF_KEY: by a program like setkey(8), compiled against the kernel's header, beside <c>ip xfrm</c>.</summary>
[Collection(Alone.Name)]
public sealed class PfKeyProgramTests(ManualPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<ManualPair>
{
    private const string ToRight = "192.0.2.1 192.0.2.2", ToLeft = "192.0.2.2 192.0.2.1";
    private const string OutNets = "10.1.0.0/16 10.2.0.0/16", InNets = "10.2.0.0/16 10.1.0.0/16";

    [Theory]
    [InlineData(50, 3)]
    [InlineData(51, 2)]
    public void A_tunnel_made_by_setkey_carries_traffic(int proto, int satype) => Play(pair, () =>
    {
        string setkey = Compile();
        string states = $"add {ToRight} {satype} 0x1001 2 7\nadd {ToLeft} {satype} 0x1002 2 7\n";
        string added = Ask(pair.LeftDaemon, pair.Net.Left, setkey, states + Policies(2, 1, proto, ToRight, ToLeft));
        Assert.Equal(5, Regex.Count(added, "^type .* errno 0 ", RegexOptions.Multiline));
        string[] right = [states, $"spdadd {OutNets} 1 2 {proto} 2 3 7 {ToRight}\nspdadd {OutNets} 3 2 {proto} 2 3 7 {ToRight}\nspdadd {InNets} 2 2 {proto} 2 3 7 {ToLeft}\n"];
        Ask(pair.RightDaemon, pair.Net.Right, setkey, string.Concat(right));
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        pair.Net.RightHost.PingsThrough(Gateways.LeftHostAddress, size: 1000);
        WireReport report = tap.Stop().AssertNothingClear((Gateways.LeftNet, Gateways.RightNet));
        Assert.True(proto == 51 || report.RawEsp >= 12, "ESP carries it");
        string dump = Ask(pair.LeftDaemon, pair.Net.Left, setkey, "dump 0\nspddump\n");
        Assert.Matches($"type 10 errno 0 satype {satype} spi 0x1001 state 1 packets 6 ", dump);
        Assert.Equal(3, Regex.Count(dump, "^type 18 errno 0 ", RegexOptions.Multiline));
        Ask(pair.LeftDaemon, pair.Net.Left, setkey, "flush 0\nspdflush\n");
        Assert.Equal(string.Empty, pair.LeftDaemon.IpXfrm(pair.Net.Left, "state") + pair.LeftDaemon.IpXfrm(pair.Net.Left, "policy"));
        pair.Net.LeftHost.PingsInVain(Gateways.RightHostAddress);
    });

    [Fact]
    public void Both_front_doors_see_and_change_the_same_databases() => Play(pair, () =>
    {
        string setkey = Compile();
        Host left = pair.Net.Left;
        Ask(pair.LeftDaemon, left, setkey, $"add {ToRight} 3 0x1001 2 7\ngetspi {ToLeft} 3 0x2000 0x2000\nupdate {ToLeft} 3 0x2000 2 7\n" + Policies(2, 1, 50, ToRight, ToLeft));
        string state = pair.LeftDaemon.IpXfrm(left, "state"), policy = pair.LeftDaemon.IpXfrm(left, "policy");
        Assert.Contains("proto esp spi 0x00001001 reqid 7 mode tunnel", state, StringComparison.Ordinal);
        Assert.Contains("proto esp spi 0x00002000 reqid 7 mode tunnel", state, StringComparison.Ordinal);
        Assert.Equal(3, Regex.Count(policy, "^src ", RegexOptions.Multiline));
        // Deleted there, gone here.
        pair.LeftDaemon.IpXfrm(left, "state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1001");
        pair.LeftDaemon.IpXfrm(left, "policy delete src 10.1.0.0/16 dst 10.2.0.0/16 dir out");
        Assert.Contains("type 5 errno 3 ", Ask(pair.LeftDaemon, left, setkey, $"get {ToRight} 3 0x1001\n"), StringComparison.Ordinal);
        string dump = Ask(pair.LeftDaemon, left, setkey, "spddump\n");
        Assert.Equal(2, Regex.Count(dump, "^type 18 errno 0 ", RegexOptions.Multiline));
        // By number: asked for, and deleted.
        string id = Regex.Match(dump, "dir 1 id (\\d+)").Groups[1].Value;
        Assert.Contains($"type 16 errno 0 satype 0 src 10.2.0.0/16 dst 10.1.0.0/16 packets 0 policy 2 dir 1 id {id} (50 2 3 7 192.0.2.2)",
            Ask(pair.LeftDaemon, left, setkey, $"spdget {id}\n"), StringComparison.Ordinal);
        Assert.Contains("type 22 errno 0 ", Ask(pair.LeftDaemon, left, setkey, $"spddelete2 {id}\n"), StringComparison.Ordinal);
        Assert.Contains("type 22 errno 2 ", Ask(pair.LeftDaemon, left, setkey, $"spddelete2 {id}\n"), StringComparison.Ordinal);
        Assert.Contains("type 15 errno 0 ", Ask(pair.LeftDaemon, left, setkey, $"spddelete {InNets} 3\n"), StringComparison.Ordinal);
        // Made there, deleted here.
        pair.AddStates(Gateways.LeftAddress, Gateways.RightAddress, ManualPair.Gcm128);
        Assert.Contains("type 4 errno 0 satype 3 spi 0x1001 ", Ask(pair.LeftDaemon, left, setkey, $"delete {ToRight} 3 0x1001\ndelete {ToLeft} 3 0x2000\ndelete {ToLeft} 3 0x2002\n"), StringComparison.Ordinal);
        Assert.Equal(string.Empty, pair.LeftDaemon.IpXfrm(left, "state") + pair.LeftDaemon.IpXfrm(left, "policy"));
    });

    [Fact]
    public void What_one_does_the_listeners_of_the_other_hear() => Play(pair, () =>
    {
        string setkey = Compile();
        Host left = pair.Net.Left;
        BackgroundProcess monitor = left.Start("ip-monitor", pair.LeftDaemon.Attached(Toolbox.Find("ip"), "xfrm", "monitor"));
        BackgroundProcess listener = left.Start("setkey", pair.LeftDaemon.Attached("/bin/sh", "-c", $"printf 'register 3\\nlisten 20000\\n' | {setkey}"));
        listener.WaitForLog("type 7 errno 0 ");
        // Whoever listens on netlink says nothing before it hears something.
        Wait.Until(() =>
        {
            Ask(pair.LeftDaemon, left, setkey, $"add {ToRight} 3 0x3003 1 0\ndelete {ToRight} 3 0x3003\n");
            return monitor.Log.Contains("spi 0x00003003", StringComparison.Ordinal);
        }, "ip xfrm monitor listens");
        Ask(pair.LeftDaemon, left, setkey, Policies(2, 1, 50, ToRight, ToLeft));
        monitor.WaitForLog("src 10.1.0.0/16 dst 10.2.0.0/16");
        listener.WaitForLog("type 14 errno 0 satype 0 src 10.1.0.0/16 dst 10.2.0.0/16");
        pair.LeftDaemon.IpXfrm(left, "state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x4004 reqid 4 mode transport " + ManualPair.Gcm128);
        listener.WaitForLog("type 3 errno 0 satype 3 spi 0x4004 state 1 packets 0 src 192.0.2.1/32 dst 192.0.2.2/32 mode 1 reqid 4");
        pair.LeftDaemon.IpXfrm(left, "state flush");
        listener.WaitForLog("type 9 errno 0 satype 0");
        // There is no SA: the first packet asks for one, and both are told.
        left.PingsInVain(Gateways.RightHostAddress, count: 1, from: Gateways.LeftLan);
        listener.WaitForLog("type 6 errno 0 satype 3 src 192.0.2.1/32 dst 192.0.2.2/32 policy 2 dir 2 ");
        monitor.WaitForLog("acquire proto esp");
        listener.Stop();
        monitor.Stop();
    });

    [Fact]
    public void A_migrated_tunnel_goes_on_from_the_new_address() => Play(pair, () =>
    {
        string setkey = Compile();
        const string MovedToRight = "192.0.2.77 192.0.2.2", MovedToLeft = "192.0.2.2 192.0.2.77";
        pair.Net.Left.Ip("addr add 192.0.2.77/24 dev wan");
        string states = $"add {ToRight} 3 0x1001 2 7\nadd {ToLeft} 3 0x1002 2 7\n";
        Ask(pair.LeftDaemon, pair.Net.Left, setkey, states + Policies(2, 1, 50, ToRight, ToLeft));
        Ask(pair.RightDaemon, pair.Net.Right, setkey, states + Policies(1, 2, 50, ToRight, ToLeft, forward: OutNets));
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        foreach ((XfrmdDaemon daemon, Host host, int outward, int inward) in new[] { (pair.LeftDaemon, pair.Net.Left, 2, 1), (pair.RightDaemon, pair.Net.Right, 1, 2) })
        {
            string answers = Ask(daemon, host, setkey, $"migrate {OutNets} {outward} 50 2 3 7 {ToRight} {MovedToRight}\nmigrate {InNets} {inward} 50 2 3 7 {ToLeft} {MovedToLeft}\n"
                + (host == pair.Net.Left ? $"migrate {InNets} 3 50 2 3 7 {ToLeft} {MovedToLeft}\n" : $"migrate {OutNets} 3 50 2 3 7 {ToRight} {MovedToRight}\n"));
            Assert.Contains("type 24 errno 0 satype 3 ", answers, StringComparison.Ordinal);
            Assert.Contains("192.0.2.77", daemon.IpXfrm(host, "state"), StringComparison.Ordinal);
            Assert.DoesNotContain("192.0.2.1 ", daemon.IpXfrm(host, "state"), StringComparison.Ordinal);
        }
        Wiretap tap = pair.Net.Watch();
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        WireReport report = tap.Stop().AssertRawEsp(6).AssertNothingClear((Gateways.LeftNet, Gateways.RightNet));
        Assert.All(report.Protected, packet => Assert.Contains("192.0.2.77", new[] { packet.Source?.ToString(), packet.Destination?.ToString() }));
        pair.Net.Left.Ip("addr del 192.0.2.77/24 dev wan");
    });

    [Fact]
    public void The_socket_behaves_as_the_kernels() => Play(pair, () =>
    {
        string program = Recording.PathOf("pfkey-socket.py");
        string said = pair.Net.Left.Do(pair.LeftDaemon.Attached(Toolbox.Find("python3"), program));
        Assert.Equal(File.ReadAllText(Path.ChangeExtension(program, ".txt")), said);
    });

    [Fact]
    public void Without_the_capability_there_is_no_socket() => Play(pair, () =>
    {
        CommandResult result = pair.Net.Left.Run(pair.LeftDaemon.Attached(Toolbox.Find("setpriv"), "--bounding-set=-net_admin", "--inh-caps=-net_admin", Toolbox.Find("python3"), "-c", """
            import errno, socket
            for arguments in ((15, 3, 2), (15, 2, 2), (15, 3, 1)):
                try:
                    socket.socket(*arguments)
                    print("open")
                except OSError as e:
                    print(errno.errorcode[e.errno])
            """));
        Assert.Equal("EPERM\nEPERM\nEPERM\n", result.Output);
    });

    private static string Policies(int outward, int inward, int proto, string toRight, string toLeft, string forward = InNets) =>
        $"spdadd {OutNets} {outward} 2 {proto} 2 3 7 {toRight}\nspdadd {InNets} {inward} 2 {proto} 2 3 7 {toLeft}\n"
        + $"spdadd {forward} 3 2 {proto} 2 3 7 {(forward == InNets ? toLeft : toRight)}\n";

    private string Compile()
    {
        string program = Path.Combine(pair.Net.Lab.Folder, "setkey");
        if (!File.Exists(program))
        {
            Command.Run([Toolbox.Find("gcc"), "-o", program, Recording.PathOf("setkey.c")]).OrFail();
        }
        return program;
    }

    private static string Ask(XfrmdDaemon daemon, Host host, string setkey, string commands) => Command.Run(host.Inside(daemon.Attached(setkey)), commands).OrFail().Output;
}
