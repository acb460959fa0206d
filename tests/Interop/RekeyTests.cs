using System.Globalization;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>SAs are replaced many times in a row while the tunnel carries all that it can: nothing is lost for it.</summary>
[Collection(Alone.Name)]
public sealed class RekeyTests(CharonPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<CharonPair>
{
    // `make soak` asks for more.
    private static readonly int Rekeyings = int.Parse(Environment.GetEnvironmentVariable("XFRMD_REKEYINGS") ?? "20", CultureInfo.InvariantCulture);
    private static readonly string[] MissingSa = ["XfrmInNoStates", "XfrmOutNoStates", "XfrmInStateInvalid", "XfrmOutStateInvalid", "XfrmAcquireError"];

    [Theory]
    [InlineData("")]
    [InlineData("encap = yes")]
    public void Under_full_load_no_packet_lacks_its_sa(string options) => Play(pair, () =>
    {
        pair.Load(Gateways.LeftAddress, Gateways.RightAddress, $"{options};rekey_time = 0", ("net", Gateways.LeftNet, Gateways.RightNet, "rekey_time = 0;replay_window = 1024"));
        pair.Left.Initiate("net");
        Dictionary<string, long> before = Count();
        Wiretap tap = pair.Net.Watch();
        BackgroundProcess iperf = Iperf.StartTcp(pair.Net.LeftHost, pair.Net.RightHost, Gateways.RightHostAddress, seconds: 600, "--bidir", "-P", "2");
        int done = 0;
        for (; done < Rekeyings && !iperf.HasExited; done++)
        {
            // Either side, either kind of SA.
            Charon charon = done % 4 < 2 ? pair.Left : pair.Right;
            string kind = done % 2 == 0 ? "child" : "ike", pattern = kind == "child" ? @"(CHILD_SA net\{\d+\} established|CHILD_SA net\{\d+\} rekeyed)" : @"IKE_SA site\[\d+\] rekeyed";
            int times = charon.CountInLog(pattern);
            charon.Swanctl("--rekey", "--" + kind, kind == "child" ? "net" : "site").OrFail();
            charon.WaitForLog(pattern, times + 1);
        }
        Assert.False(iperf.HasExited, $"iperf3 ended after {done} rekeyings:\n{iperf.Log}");
        // iperf3 tells what it measured when it is interrupted; a connection that broke would have ended it.
        iperf.Signal("INT");
        Assert.True(iperf.WaitForExit(TimeSpan.FromSeconds(60)), "iperf3 ends");
        Assert.Contains("interrupt - the client has terminated", iperf.Log, StringComparison.Ordinal);
        Dictionary<string, long> lost = Count();
        Assert.All(MissingSa, name => Assert.True(lost[name] == before[name], $"{name} went from {before[name]} to {lost[name]} in {Rekeyings} rekeyings"));
        pair.Net.LeftHost.PingsThrough(Gateways.RightHostAddress);
        tap.Stop().AssertNothingClear((Gateways.LeftNet, Gateways.RightNet));
    });

    /// <summary>Both sides together.</summary>
    private Dictionary<string, long> Count()
    {
        IReadOnlyDictionary<string, long> left = pair.LeftDaemon.Counters(pair.Net.Left), right = pair.RightDaemon.Counters(pair.Net.Right);
        return MissingSa.ToDictionary(name => name, name => left.GetValueOrDefault(name) + right.GetValueOrDefault(name));
    }
}
