namespace Xfrmd.Kernel;

/// <summary>What a replay check said.</summary>
public enum ReplayVerdict : byte
{
    Fresh,

    /// <summary>Below the window: <c>stats.replay_window</c>.</summary>
    BelowWindow,

    /// <summary>Seen before: <c>stats.replay</c>.</summary>
    Replayed,

    /// <summary>Sequence number 0 where none can be: counted nowhere but in XfrmInStateSeqError.</summary>
    Invalid,
}
