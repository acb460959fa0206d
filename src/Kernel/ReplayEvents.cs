namespace Xfrmd.Kernel;

/// <summary>AEVENTs: when a change of an SA's sequence numbers is told (<c>xfrm_replay_notify</c>). Under <see cref="XfrmNamespace.Gate"/>.</summary>
internal static class ReplayEvents
{
    private const uint ReasonReplay = 16, ReasonTimer = 32;   // XFRM_AE_CR, XFRM_AE_CE

    /// <summary>After the sequence numbers moved: XFRM_REPLAY_UPDATE.</summary>
    public static void OnUpdate(XfrmNamespace space, SecurityAssociation sa, ReplayState now, in SaCounts counts)
    {
        if (sa.State == SaState.Dead || !space.KeyManagers.ListensForAevents)
        {
            return;
        }
        if (sa.ReplayMaxDiff == 0 || Moved(now, sa.LastNotifiedReplay) < sa.ReplayMaxDiff)
        {
            if (sa.Timer.ReplayDeferred)
            {
                Tell(space, sa, now, ReasonTimer, counts);
            }
            return;
        }
        Tell(space, sa, now, ReasonReplay, counts);
    }

    /// <summary>The timer of <c>replay_maxage</c> fired: XFRM_REPLAY_TIMEOUT.</summary>
    public static void OnTimer(XfrmNamespace space, SecurityAssociation sa)
    {
        if (sa.State != SaState.Valid)
        {
            return;
        }
        if (space.KeyManagers.ListensForAevents && sa.Replay.Snapshot() is var now && !IsSame(now, sa.LastNotifiedReplay))
        {
            Tell(space, sa, now, ReasonTimer);
            return;
        }
        sa.Timer.ReplayDeferred = true;
    }

    private static void Tell(XfrmNamespace space, SecurityAssociation sa, ReplayState now, uint reason, SaCounts? counts = null)
    {
        sa.LastNotifiedReplay = now;
        space.KeyManagers.Notify(new SaEvent(SaEventKind.NewAe, sa) { AeventFlags = reason, Replay = now, Counts = counts });
        if (space.Timers.ArmReplay(sa, sa.ReplayMaxAge))
        {
            sa.Timer.ReplayDeferred = false;
        }
    }

    // The low halves alone, and they may have wrapped.
    private static uint Moved(ReplayState now, ReplayState last) => unchecked(Math.Max(now.Seq - last.Seq, now.Oseq - last.Oseq));

    private static bool IsSame(ReplayState a, ReplayState b) =>
        a.Oseq == b.Oseq && a.OseqHi == b.OseqHi && a.Seq == b.Seq && a.SeqHi == b.SeqHi && a.Bitmap.SequenceEqual(b.Bitmap);
}
