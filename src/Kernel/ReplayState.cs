namespace Xfrmd.Kernel;

/// <summary>
/// The counters and the window of one SA as a client sees and sets them (<c>xfrm_replay_state</c>, <c>xfrm_replay_state_esn</c>).
/// <see cref="Bitmap"/> has the kernel's form: one word in legacy mode (bit 0 is the highest number), else a ring of words.
/// </summary>
public sealed record ReplayState
{
    /// <summary>Nothing sent, nothing received, no window.</summary>
    internal static readonly ReplayState Initial = new();

    public ReplayMode Mode { get; init; }
    public uint Oseq { get; init; }
    public uint OseqHi { get; init; }
    public uint Seq { get; init; }
    public uint SeqHi { get; init; }
    public uint Window { get; init; }
    public IReadOnlyList<uint> Bitmap { get; init; } = [];

    /// <summary>No packet has come or gone.</summary>
    internal bool IsUnused => (Oseq | OseqHi | Seq | SeqHi) == 0 && Bitmap.All(static word => word == 0);
}
