using System.Text.Json;
using Xfrmd.PfKey;
using Xfrmd.Replay;

namespace Xfrmd.Netlink.Tests.Recordings;

/// <summary>Every netlink scenario that was recorded from a real kernel, byte for byte, save those that docs/compat.md lists.</summary>
public sealed class RecordingTests
{
    private static readonly IReadOnlyDictionary<string, JsonElement> Scenarios = Replay.Recordings.Read("nl");
    private static readonly IReadOnlySet<string> Otherwise = CompatList.Read();

    public static TheoryData<string> Names => [.. Scenarios.Keys];

    [Theory, MemberData(nameof(Names))]
    public void Answers_as_recorded(string name)
    {
        string? difference = Replayer.Run(Scenarios[name], new NetlinkXfrmFamily(), new PfKeyFamily());
        if (Otherwise.Contains(name))
        {
            Assert.True(difference is not null, "docs/compat.md lists it as answered otherwise, but it is answered as recorded.");
        }
        else if (difference is not null)
        {
            Assert.Fail(difference);
        }
    }

    [Fact]
    public void What_is_listed_as_different_was_recorded() =>
        Assert.Empty(Otherwise.Where(n => n.StartsWith("nl/", StringComparison.Ordinal)).Except(Scenarios.Keys));
}
