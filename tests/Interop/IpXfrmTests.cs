using System.Text.RegularExpressions;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>
/// Every option of <c>ip xfrm state</c>, <c>policy</c> and <c>monitor</c>, what each prints, and what it is refused for: as Linux 6.12 with
/// ESP was recorded to answer the same commands, for iproute2 6.1 (Debian 12) and 6.15 (its backports).
/// </summary>
[Collection(Alone.Name)]
public sealed class IpXfrmTests(ManualPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<ManualPair>
{
    [Theory]
    [InlineData("6.1", "state", 1200)]
    [InlineData("6.15", "state", 1200)]
    [InlineData("6.1", "policy", 1200)]
    [InlineData("6.15", "policy", 1200)]
    [InlineData("6.1", "monitor", 400)]
    [InlineData("6.15", "monitor", 400)]
    public void Every_option_is_answered_as_by_Linux_6_12(string version, string subject, int atLeast) => Play(pair, () =>
    {
        string[] command = Commands(version, subject), recorded = Recording.Read($"ip-xfrm-{subject}.iproute2-{version}.linux-6.12.txt.gz"), ours = Recording.Lines(pair.Net.Left.Do(pair.LeftDaemon.Attached(command)));
        Assert.True(recorded.Length > atLeast, $"{recorded.Length} lines were recorded");
        AssertAlike(recorded, ours);
    });

    [Fact]
    public void Policies_are_answered_as_by_the_kernel_beneath() => Play(pair, () =>
    {
        string[] command = Commands("6.15", "policy");
        string[] theirs = Recording.Lines(pair.Net.Left.Do(command)), ours = Recording.Lines(pair.Net.Left.Do(pair.LeftDaemon.Attached(command)));
        // A kernel without XFRM_OFFLOAD does not look at the attribute.
        AssertAlike(WithoutOffload(theirs), WithoutOffload(ours));
    });

    private static void AssertAlike(string[] expected, string[] actual)
    {
        int at = 0, asked = 0;
        for (; at < expected.Length && at < actual.Length && expected[at] == actual[at]; at++)
        {
            asked = expected[at].StartsWith('$') ? at : asked;
        }
        Assert.True(
            at == expected.Length && at == actual.Length,
            $"Linux:\n{string.Join('\n', expected.Skip(asked).Take(20))}\n\nxfrmd:\n{string.Join('\n', actual.Skip(asked).Take(20))}");
    }

    private static string[] Commands(string version, string subject) =>
    [
        Toolbox.Find("unshare"), "-n", Toolbox.Find("python3"), Recording.PathOf("ip-xfrm.py"),
        version == "6.1" ? Toolbox.Find("ip") : Toolbox.FindAside("iproute2-backports", "/bin/ip"), Recording.PathOf($"ip-xfrm-{subject}.txt"),
    ];

    private static string[] WithoutOffload(string[] lines) =>
        Recording.Lines(Regex.Replace(string.Join('\n', lines), @"^\$[^\n]* offload (.|\n)*?(?=^\$)", string.Empty, RegexOptions.Multiline));
}
