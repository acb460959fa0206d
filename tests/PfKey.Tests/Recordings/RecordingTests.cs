using System.Text.Json;
using Xfrmd.Kernel;
using Xfrmd.Netlink;
using Xfrmd.Replay;

namespace Xfrmd.PfKey.Tests.Recordings;

/// <summary>
/// Every PF_KEY scenario that was recorded from a real kernel, byte for byte, with what netlink's listeners saw of it, save those that
/// docs/compat.md lists.
/// </summary>
public sealed class RecordingTests
{
    private static readonly IReadOnlyDictionary<string, JsonElement> Scenarios = Replay.Recordings.Read("pk");
    private static readonly IReadOnlySet<string> Otherwise = CompatList.Read();

    // The generator of reqids is one for the whole machine, and the recorder ran one scenario after the other.
    private static readonly Dictionary<string, int> ReqidsGivenBefore = new() { ["pk/spdadd/req-unique-reqid-16384"] = 1 };

    public static TheoryData<string> Names => [.. Scenarios.Keys];

    [Theory, MemberData(nameof(Names))]
    public void Answers_as_recorded(string name)
    {
        PfKeyFamily family = new();
        for (int i = ReqidsGivenBefore.GetValueOrDefault(name); i > 0; i--)
        {
            UseUpReqid(family);
        }
        string? difference = Replayer.Run(Scenarios[name], new NetlinkXfrmFamily(), family);
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
        Assert.Empty(Otherwise.Where(n => n.StartsWith("pk/", StringComparison.Ordinal)).Except(Scenarios.Keys));

    private static void UseUpReqid(PfKeyFamily family)
    {
        using XfrmNamespace elsewhere = new(2, TimeProvider.System);
        lock (elsewhere.Gate)
        {
            Assert.Equal(Errno.None, family.CompileSocketPolicy(elsewhere, AddressFamily.Inet, Messages.IpIpsecPolicy, Messages.UniqueSocketPolicy(reqid: 0), out _));
        }
    }
}
