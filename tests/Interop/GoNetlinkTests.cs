using System.Text.RegularExpressions;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>
/// Go's vishvananda/netlink, by which Docker, Cilium and flannel speak to XFRM: the tests of its own that are about it, attached, in threads
/// and namespaces of their own as Go makes them.
/// </summary>
[Collection(Alone.Name)]
public sealed partial class GoNetlinkTests(ManualPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<ManualPair>
{
    private const string Packages = "/usr/share/gocode", Library = Packages + "/src/github.com/vishvananda/netlink";

    // Those which Linux 6.12 fails too: it refuses what they ask for (an interface without if_id; an optional template that is none).
    private static readonly string[] Refused = ["TestLinkAddDelXfrmiNoId", "TestXfrmPolicyWithOptional"];

    [Fact]
    public void Its_tests_end_as_on_Linux_6_12() => Play(pair, () =>
    {
        string program = Path.Combine(pair.Net.Lab.Folder, "netlink.test"), go = Toolbox.Find("go");
        Command.Run(
            [Toolbox.Find("env"), "-C", Library, "GO111MODULE=off", $"GOPATH={Packages}", $"GOCACHE={pair.Net.Lab.Folder}/go", go, "test", "-c", "-o", program, "."],
            timeout: TimeSpan.FromMinutes(5)).OrFail();
        // Where CI is set they leave out one.
        string told = pair.Net.Left.Run(TimeSpan.FromMinutes(2), pair.LeftDaemon.Attached(Toolbox.Find("env"), "-u", "CI", program, "-test.v", "-test.run", "Xfrm")).Output;
        ILookup<string, string> ended = Ended().Matches(told).ToLookup(m => m.Groups["how"].Value, m => m.Groups["name"].Value);
        Assert.True(ended["PASS"].Count() >= 14 && ended["FAIL"].Order().SequenceEqual(Refused) && !ended["SKIP"].Any(), told);
    });

    [GeneratedRegex(@"^--- (?<how>\w+): (?<name>\w+)", RegexOptions.Multiline)]
    private static partial Regex Ended();
}
