using System.Text.Json;
using Xfrmd.Datapath.Tests.Oracle;
using Xfrmd.Replay;

namespace Xfrmd.Datapath.Tests;

/// <summary>Every inbound scenario that was recorded from a real kernel: delivery, counters, events and dumps.</summary>
public sealed class InboundRecordingTests
{
    private static readonly IReadOnlyDictionary<string, JsonElement> Scenarios = Recordings.Read("inbound");

    public static TheoryData<string> Names => [.. Scenarios.Keys];

    [Theory, MemberData(nameof(Names))]
    public void A_packet_fares_as_recorded(string name)
    {
        if (InboundReplay.Run(Scenarios[name]) is { } difference)
        {
            Assert.Fail(difference);
        }
    }
}
