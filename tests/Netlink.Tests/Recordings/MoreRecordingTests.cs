using System.Text;
using System.Text.Json;
using Xfrmd.PfKey;
using Xfrmd.Replay;

namespace Xfrmd.Netlink.Tests.Recordings;

/// <summary>
/// <c>linux-6.12.jsonl.gz</c>: what a Linux 6.12.117 answered to some 1,700 more scenarios, which a program made up: every algorithm with
/// right and wrong keys, UPDSA over every kind of SA, larval SAs, limits, AEVENTs, migration, policies, offload, several messages in a
/// datagram (<c>grid</c>), random requests (<c>rnd</c>), known ones with bytes changed (<c>mut</c>), and scenarios of <c>make kernel-compare</c>
/// in which most requests succeed (<c>theme</c>). Left out is what no two runs of one kernel have in common, and attributes that came after 6.12.
/// </summary>
public sealed class MoreRecordingTests
{
    private const int Shown = 3;

    [Fact]
    public void Linux_6_12_answers_alike()
    {
        StringBuilder differences = new();
        int differ = 0, scenarios = 0;
        foreach (JsonElement scenario in Replay.Recordings.ReadFile(Path.Combine(Repository.Root, "tests", "Netlink.Tests", "Recordings", "linux-6.12.jsonl.gz")))
        {
            scenarios++;
            if (Replayer.Run(scenario, new NetlinkXfrmFamily(), new PfKeyFamily()) is { } difference && ++differ <= Shown)
            {
                differences.Append(scenario.GetProperty("name").GetString()).Append('\n').Append(difference);
            }
        }
        Assert.True(scenarios > 1000);
        Assert.True(differ == 0, $"{differ} of {scenarios} differ\n{differences}");
    }
}
