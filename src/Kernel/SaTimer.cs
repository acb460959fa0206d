namespace Xfrmd.Kernel;

/// <summary>When the SA clock looks at an SA next (<c>x->mtimer</c>, <c>x->rtimer</c>). Under <see cref="XfrmNamespace.Gate"/>.</summary>
internal struct SaTimer
{
    /// <summary>Due time in the clock's timestamp; 0: not armed. A queue entry with another due time is stale.</summary>
    public long LifetimeDue { get; set; }

    public long ReplayDue { get; set; }

    /// <summary><c>XFRM_SOFT_EXPIRE</c>: a soft limit is ahead of the hard one.</summary>
    public bool SoftPending { get; set; }

    /// <summary><c>saved_tmo</c>: the seconds that were left to the soft limit when it was armed.</summary>
    public long SoftSaved { get; set; }

    /// <summary><c>XFRM_TIME_DEFER</c>: the next packet reports its replay state at once.</summary>
    public bool ReplayDeferred { get; set; }
}
