using System.Text.RegularExpressions;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>
/// The kernel's own test of IPsec (tools/testing/selftests/net/ipsec.c of Linux 6.1), unmodified and attached: it installs SAs and policies by
/// NETLINK_XFRM, sends datagrams of a page through each pair, and counts.
/// </summary>
[Collection(Alone.Name)]
public sealed partial class SelftestTests(ManualPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<ManualPair>
{
    private const int Tunnels = 100;

    [Fact]
    public void Each_of_its_algorithms_makes_a_tunnel() => Play(pair, () =>
    {
        // All share two namespaces: the tests of expiry, which are among them, hear of each other's. They have a run of their own below.
        string told = Run(TimeSpan.FromMinutes(4), processes: 25);
        string[] bad = [.. Results().Matches(told).Where(m => m.Groups["what"].Value == "create tunnel" && m.Groups["not"].Success).Select(m => m.Value)];
        int good = Results().Matches(told).Count(m => m.Groups["what"].Value == "create tunnel") - bad.Length;
        Assert.True(good == Tunnels && bad.Length == 0, told);
    });

    [Fact]
    public void What_the_layout_of_messages_decides_is_as_it_expects() => Play(pair, () =>
    {
        // These are its first; the tunnels behind them take minutes one by one, and are not waited for.
        string told = Run(TimeSpan.FromSeconds(10), processes: 1);
        Assert.True(
            Results().Matches(told).Where(m => !m.Groups["not"].Success).Select(m => m.Groups["what"].Value).Take(5)
                .SequenceEqual(["alloc spi", "monitor acquire", "expire state", "expire policy", "spdinfo attributes"]),
            told);
    });

    private string Run(TimeSpan time, int processes)
    {
        string program = Path.Combine(pair.Net.Lab.Folder, "ipsec");
        Command.Run([Toolbox.Find("gcc"), "-O2", "-o", program, Toolbox.FindAside("linux-selftests", "/net/ipsec.c"), "-lpthread"]).OrFail();
        string seconds = ((int)time.TotalSeconds).ToString(System.Globalization.CultureInfo.InvariantCulture);
        return pair.Net.Left.Run(
            time + TimeSpan.FromMinutes(1),
            pair.LeftDaemon.Attached(Toolbox.Find("timeout"), seconds, Toolbox.Find("stdbuf"), "-oL", program, processes.ToString(System.Globalization.CultureInfo.InvariantCulture))).Output;
    }

    [GeneratedRegex(@"^(?<not>not )?ok \d+\s+(?<what>[^:\n]+): .*", RegexOptions.Multiline)]
    private static partial Regex Results();
}
