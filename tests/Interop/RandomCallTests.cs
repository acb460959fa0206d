using System.Globalization;
using Xfrmd.Interop.Harness;
using Xunit.Abstractions;

namespace Xfrmd.Interop;

/// <summary>
/// Random system calls on several sockets at once (<c>Programs/random-calls.py</c>): binds, options, requests, dumps, receives of all kinds. Each is
/// answered as by Linux: for NETLINK_XFRM the one beneath, for PF_KEY a 6.12 whose answers were recorded.
/// </summary>
[Collection(Alone.Name)]
public sealed class RandomCallTests(ManualPair pair, ITestOutputHelper output) : Scenario(output), IClassFixture<ManualPair>
{
    private const int Calls = 400;

    [Fact]
    public void Netlink_sockets_answer_as_those_of_the_kernel_beneath() => Play(pair, () =>
    {
        for (int seed = 1; seed <= 24; seed++)
        {
            string[] program = Program(seed);
            AssertAlike(seed, Recording.Lines(pair.Net.Left.Do(program)), Recording.Lines(pair.Net.Left.Do(pair.LeftDaemon.Attached(program))));
        }
    });

    [Fact]
    public void Key_sockets_answer_as_those_of_a_Linux_6_12() => Play(pair, () =>
    {
        string[] recorded = Recording.Read("random-calls.pfkey.linux-6.12.txt.gz");
        Assert.Equal(12 * (Calls + 1), recorded.Length);
        foreach (string[] one in recorded.Chunk(Calls + 1))
        {
            int seed = int.Parse(one[0].AsSpan("== ".Length), CultureInfo.InvariantCulture);
            AssertAlike(seed, one[1..], Recording.Lines(pair.Net.Left.Do(pair.LeftDaemon.Attached([.. Program(seed), "pfkey"]))));
        }
    });

    private static string[] Program(int seed) =>
        [Toolbox.Find("unshare"), "-n", Toolbox.Find("python3"), Recording.PathOf("random-calls.py"), $"{seed}", $"{Calls}"];

    private static void AssertAlike(int seed, string[] linux, string[] xfrmd)
    {
        Assert.Equal(Calls, linux.Length);
        for (int i = 0; i < Calls; i++)
        {
            string before = string.Join('\n', linux[Math.Max(0, i - 20)..i]);
            // What differs comes first: of a long message a log may keep the head alone.
            Assert.True(i < xfrmd.Length && linux[i] == xfrmd[i], $"Seed {seed}\nLinux: {linux[i]}\nxfrmd: {xfrmd.ElementAtOrDefault(i)}\nbehind\n{before}");
        }
    }
}
