using System.Globalization;

namespace Xfrmd.Linux.Process;

/// <summary>What /proc/TID/status says of signals that wait.</summary>
public static class PendingSignals
{
    private const int Enough = 4096;

    /// <summary>
    /// Whether a signal waits that a sleeping thread would wake up for (<c>signal_pending</c>): one of its own, or one of its process that must be
    /// its own, because it is the only thread or the first, which the kernel prefers (<c>complete_signal</c>).
    /// </summary>
    public static bool WouldWake(int tid)
    {
        Span<byte> text = stackalloc byte[Enough];
        int length = ProcFile.Read(string.Create(CultureInfo.InvariantCulture, $"/proc/{tid}/status"), text);
        return length > 0 && WouldWake(text[..length]);
    }

    public static bool WouldWake(ReadOnlySpan<byte> status)
    {
        ulong own = 0, shared = 0, blocked = 0;
        ReadOnlySpan<byte> leader = default, thread = default, threads = default;
        foreach (Range range in status.Split((byte)'\n'))
        {
            ReadOnlySpan<byte> line = status[range];
            int colon = line.IndexOf((byte)':');
            if (colon < 0)
            {
                continue;
            }
            ReadOnlySpan<byte> name = line[..colon], value = line[(colon + 1)..].Trim((byte)'\t');
            switch (name)
            {
                case var _ when name.SequenceEqual("Tgid"u8):
                    leader = value;
                    break;
                case var _ when name.SequenceEqual("Pid"u8):
                    thread = value;
                    break;
                case var _ when name.SequenceEqual("Threads"u8):
                    threads = value;
                    break;
                case var _ when name.SequenceEqual("SigPnd"u8):
                    own = Hex(value);
                    break;
                case var _ when name.SequenceEqual("ShdPnd"u8):
                    shared = Hex(value);
                    break;
                case var _ when name.SequenceEqual("SigBlk"u8):
                    blocked = Hex(value);
                    break;
            }
        }
        bool takesShared = thread.SequenceEqual(leader) || threads.SequenceEqual("1"u8);
        return ((own | (takesShared ? shared : 0)) & ~blocked) != 0;
    }

    private static ulong Hex(ReadOnlySpan<byte> text) => ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong value) ? value : 0;
}
