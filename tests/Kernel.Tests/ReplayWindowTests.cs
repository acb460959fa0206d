namespace Xfrmd.Kernel.Tests;

/// <summary>The window against a model that simply remembers every number it accepted.</summary>
public sealed class ReplayWindowTests
{
    private static ReplayWindow Window(ReplayMode mode, uint window, uint seq = 0, uint seqHi = 0) => new(
        new ReplayState
        {
            Mode = mode,
            Window = window,
            Seq = seq,
            SeqHi = seqHi,
            Bitmap = mode == ReplayMode.Legacy ? [] : new uint[(window + 31) / 32],
        }, mayWrap: false);

    public static TheoryData<ReplayMode, uint, ulong> Windows => new()
    {
        { ReplayMode.Legacy, 1, 0 }, { ReplayMode.Legacy, 32, 0 }, { ReplayMode.Legacy, 7, 1000 },
        { ReplayMode.Bitmap, 32, 0 }, { ReplayMode.Bitmap, 33, 0 }, { ReplayMode.Bitmap, 64, 5000 }, { ReplayMode.Bitmap, 1000, 0 }, { ReplayMode.Bitmap, 4096, 70000 },
        { ReplayMode.Esn, 32, 0 }, { ReplayMode.Esn, 64, 0xffffffc0 }, { ReplayMode.Esn, 128, 0x1_0000_0000 }, { ReplayMode.Esn, 4096, 0xffff_ff00 },
        { ReplayMode.Esn, 100, 0x5_ffff_fff0 }, { ReplayMode.Esn, 1, 0xffff_fffe },
    };

    [Theory, MemberData(nameof(Windows))]
    public void Every_number_is_accepted_once_and_only_within_the_window(ReplayMode mode, uint window, ulong start)
    {
        ReplayWindow replay = Window(mode, window, (uint)start, (uint)(start >> 32));
        HashSet<ulong> accepted = [];
        Random random = new(4711);
        ulong top = start;
        for (int i = 0; i < 20_000; i++)
        {
            // Mostly near the top, sometimes a jump ahead, sometimes far behind.
            long offset = random.Next(20) switch { 0 => random.Next((int)window * 2), 1 => -random.Next((int)window * 3), _ => random.Next(-(int)window - 2, 4) };
            ulong number = unchecked(top + (ulong)offset);
            // A number far below the window is taken for the next epoch with ESN, and then fails its ICV: the model says nothing of it.
            bool outOfReach = number > top + (1UL << 40) || (mode == ReplayMode.Esn && number + window <= top);
            if (number == 0 || outOfReach || (mode != ReplayMode.Esn && number > uint.MaxValue) || (number <= start && number + window > start))
            {
                continue;
            }
            bool expected = number > top || (top - number < window && !accepted.Contains(number));

            uint low = (uint)number, high = replay.InferHigh(low);
            Assert.Equal(mode == ReplayMode.Esn ? (uint)(number >> 32) : 0, high);
            bool fresh = replay.Check(low) == ReplayVerdict.Fresh;
            Assert.Equal(expected, fresh);
            if (fresh)
            {
                Assert.Equal(ReplayVerdict.Fresh, replay.RecheckAndAdvance(low, high));
                accepted.Add(number);
                top = Math.Max(top, number);
                Assert.NotEqual(ReplayVerdict.Fresh, replay.Check(low));
            }
        }
        ReplayState state = replay.Snapshot();
        Assert.Equal(top, ((ulong)state.SeqHi << 32) | state.Seq);
    }

    [Fact]
    public void A_window_of_zero_accepts_everything_and_counts_nothing()
    {
        ReplayWindow replay = Window(ReplayMode.Legacy, 0);
        Assert.Equal(ReplayVerdict.Fresh, replay.Check(0));
        Assert.Equal(ReplayVerdict.Fresh, replay.RecheckAndAdvance(9, 0));
        Assert.Equal(ReplayVerdict.Fresh, replay.Check(9));
        Assert.Equal(0u, replay.Snapshot().Seq);
    }

    [Fact]
    public void High_bits_that_changed_since_decryption_are_refused()
    {
        ReplayWindow replay = Window(ReplayMode.Esn, 32, 100);
        Assert.Equal(ReplayVerdict.BelowWindow, replay.RecheckAndAdvance(101, sequenceHigh: 1));
        Assert.Equal(ReplayVerdict.Fresh, replay.RecheckAndAdvance(101, sequenceHigh: 0));
    }

    [Theory]
    [InlineData(ReplayMode.Legacy, 0xffff_fffdu, 0u, false, 2)]
    [InlineData(ReplayMode.Legacy, 0xffff_fffdu, 0u, true, 5)]
    [InlineData(ReplayMode.Esn, 0xffff_fffdu, 0xffff_ffffu, false, 2)]
    [InlineData(ReplayMode.Esn, 0xffff_fffdu, 7u, false, 5)]
    public void Sending_stops_at_the_last_number_unless_it_may_wrap(ReplayMode mode, uint oseq, uint oseqHi, bool mayWrap, int expected)
    {
        ReplayWindow replay = new(new ReplayState { Mode = mode, Oseq = oseq, OseqHi = oseqHi, Window = 32, Bitmap = new uint[1] }, mayWrap);
        int sent = 0;
        while (sent < 5 && replay.TryReserve(1, out _))
        {
            sent++;
        }
        Assert.Equal(expected, sent);
    }

    [Fact]
    public void Numbers_reserved_by_many_threads_are_all_different()
    {
        ReplayWindow replay = Window(ReplayMode.Legacy, 32);
        ulong[][] taken = [.. Enumerable.Range(0, 4).AsParallel().Select(_ =>
        {
            List<ulong> mine = [];
            for (int i = 0; i < 10_000; i++)
            {
                Assert.True(replay.TryReserve(3, out ulong first));
                mine.AddRange([first, first + 1, first + 2]);
            }
            return mine.ToArray();
        })];
        ulong[] all = [.. taken.SelectMany(t => t).Order()];
        Assert.Equal(Enumerable.Range(1, all.Length).Select(i => (ulong)i), all);
    }
}
