using Xfrmd.Linux.Process;

namespace Xfrmd.Linux.Tests;

/// <summary>/proc/PID/status.</summary>
public sealed class ProcStatusTests
{
    [Fact]
    public void The_fields_are_found_and_the_innermost_number_counts()
    {
        bool parsed = ProcStatus.TryParse(
            "Name:\tx Tgid:\t9\nTgid:\t6339\nPid:\t6340\nUid:\t1\t2\t3\t4\nNStgid:\t6339\t17\t1\nSigIgn:\t0000000000001000\nCapEff:\t00000000a80435fb\n"u8,
            out ProcStatus status);
        Assert.True(parsed);
        Assert.Equal(new ProcStatus(6339, 1, 2, 4, 0xa80435fb, 0x1000), status);
    }

    [Fact]
    public void Our_own_is_readable()
    {
        Assert.True(ProcStatus.TryRead(Environment.ProcessId, out ProcStatus status));
        Assert.Equal((Environment.ProcessId, ProgramImage.EffectiveUserId), (status.Tgid, status.EffectiveUid));
    }

    [Fact]
    public void No_bytes_make_it_throw()
    {
        byte[] text = File.ReadAllBytes("/proc/self/status");
        for (int i = 0; i < text.Length; i++)
        {
            _ = ProcStatus.TryParse(text.AsSpan(0, i), out _);
            text[i] ^= 0x15;
            _ = ProcStatus.TryParse(text, out _);
        }
    }
}
