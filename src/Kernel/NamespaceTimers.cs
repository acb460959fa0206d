namespace Xfrmd.Kernel;

/// <summary>
/// The timers of all SAs and policies of a namespace: <c>xfrm_timer_handler</c>, <c>xfrm_replay_timer_handler</c>, <c>xfrm_policy_timer</c>,
/// <c>nat_keepalive_work</c>.
/// One queue, one timer of the clock. Under <see cref="XfrmNamespace.Gate"/>.
/// </summary>
internal sealed class NamespaceTimers(XfrmNamespace space) : IDisposable
{
    private const int PolicyGraceSeconds = 30;   // XFRM_KM_TIMEOUT: how often a due soft limit of a policy is told again
    private readonly TimerQueue<Entry> _due = new();
    private ITimer? _timer;
    private long _armedFor = long.MaxValue;
    private long _keepalivesDue;
    private int _stale;

    private enum Kind : byte { SaLifetime, SaReplay, Policy, Keepalives }

    /// <summary>Looks at an SA's limits after so many seconds; nothing to do for one that has none.</summary>
    public void Arm(SecurityAssociation sa, ulong seconds)
    {
        ref XfrmLifetimeCfg limits = ref sa.Lifetime;
        if ((limits.SoftAddExpiresSeconds | limits.HardAddExpiresSeconds | limits.SoftUseExpiresSeconds | limits.HardUseExpiresSeconds) == 0)
        {
            sa.Timer.LifetimeDue = 0;
            return;
        }
        sa.Timer.LifetimeDue = DueIn(seconds);
        Enqueue(new Entry(Kind.SaLifetime, sa), sa.Timer.LifetimeDue);
    }

    /// <summary><c>mod_timer</c> of the AEVENT timer: it starts anew.</summary>
    /// <param name="sa">The SA.</param>
    /// <param name="jiffies">When; 0: the timer stays as it is.</param>
    /// <returns>Whether it runs now and did not before.</returns>
    public bool ArmReplay(SecurityAssociation sa, uint jiffies)
    {
        if (jiffies == 0)
        {
            return false;
        }
        bool ran = sa.Timer.ReplayDue != 0;
        _stale += ran ? 1 : 0;
        // At a jiffy, as Linux's timers: a thousand SAs of the same moment wake us once.
        long jiffy = space.Time.TimestampFrequency / SecurityAssociation.JiffiesPerSecond, now = space.Time.GetTimestamp();
        sa.Timer.ReplayDue = ((now + jiffy - 1) / jiffy * jiffy) + (jiffy * jiffies);
        Enqueue(new Entry(Kind.SaReplay, sa), sa.Timer.ReplayDue);
        Compact();
        return !ran;
    }

    /// <summary><c>schedule_delayed_work</c>: what is due already stays as it is.</summary>
    public void ArmKeepalives(ulong seconds)
    {
        if (_keepalivesDue == 0)
        {
            _keepalivesDue = DueIn(seconds);
            Enqueue(new Entry(Kind.Keepalives, space.Keepalives), _keepalivesDue);
        }
    }

    public void ArmPolicy(Policy policy)
    {
        XfrmLifetimeCfg limits = policy.Lifetime;
        if ((limits.SoftAddExpiresSeconds | limits.HardAddExpiresSeconds | limits.SoftUseExpiresSeconds | limits.HardUseExpiresSeconds) != 0)
        {
            Arm(policy, 1);
        }
    }

    public void Disarm(SecurityAssociation sa)
    {
        _stale += (sa.Timer.LifetimeDue != 0 ? 1 : 0) + (sa.Timer.ReplayDue != 0 ? 1 : 0);
        (sa.Timer.LifetimeDue, sa.Timer.ReplayDue) = (0, 0);
        Compact();
    }

    public void Disarm(Policy policy)
    {
        _stale += policy.NextTimer != 0 ? 1 : 0;
        policy.NextTimer = 0;
        Compact();
    }

    // What was disarmed stands in the queue until it is due, which may be days: it goes when it is the most of it.
    private void Compact()
    {
        const int worthwhile = 1024;
        if (_stale < worthwhile || _stale < _due.Count / 2)
        {
            return;
        }
        _due.RemoveWhere((entry, due) => !IsLive(entry, due));
        _stale = 0;
    }

    private bool IsLive(Entry entry, long due) => entry.Kind switch
    {
        Kind.SaLifetime => entry.Sa.Timer.LifetimeDue == due,
        Kind.SaReplay => entry.Sa.Timer.ReplayDue == due,
        Kind.Keepalives => _keepalivesDue == due,
        _ => entry.Policy.NextTimer == due,
    };

    /// <summary>Runs what is due.</summary>
    public void Run()
    {
        long now = space.Time.GetTimestamp();
        while (_due.TryPeek(out Entry entry, out long due) && due <= now)
        {
            _due.Dequeue();
            switch (entry.Kind)
            {
                case Kind.SaLifetime when entry.Sa.Timer.LifetimeDue == due:
                    entry.Sa.Timer.LifetimeDue = 0;
                    OnLifetime(entry.Sa);
                    break;
                case Kind.SaReplay when entry.Sa.Timer.ReplayDue == due:
                    entry.Sa.Timer.ReplayDue = 0;
                    ReplayEvents.OnTimer(space, entry.Sa);
                    break;
                case Kind.Keepalives when _keepalivesDue == due:
                    _keepalivesDue = 0;
                    space.Keepalives.Run();
                    break;
                case Kind.Policy when entry.Policy.NextTimer == due:
                    entry.Policy.NextTimer = 0;
                    OnPolicy(entry.Policy);
                    break;
            }
        }
        // The clock's timer may have fired a little early, and then nothing would fire it again.
        _armedFor = long.MaxValue;
        Rearm();
    }

    public void Dispose() => _timer?.Dispose();

    // xfrm_timer_handler
    private void OnLifetime(SecurityAssociation sa)
    {
        if (sa.State == SaState.Dead)
        {
            return;
        }
        long now = (long)space.WallSeconds, added = (long)sa.AddTime, used = (long)sa.UseTime, next = long.MaxValue;
        if (sa.State == SaState.Expired)
        {
            Expire(sa);
            return;
        }
        if (sa.Lifetime.HardAddExpiresSeconds != 0)
        {
            long left = (long)sa.Lifetime.HardAddExpiresSeconds + added - now;
            if (left <= 0)
            {
                if (!sa.Timer.SoftPending)
                {
                    Expire(sa);
                    return;
                }
                // The clock jumped over the soft limit: let that one be told first.
                long saved = sa.Timer.SoftSaved;
                left = (long)sa.Lifetime.HardAddExpiresSeconds - saved;
                sa.AddTime = (ulong)(now - saved - 1);
                added = (long)sa.AddTime;
            }
            next = Math.Min(next, left);
        }
        if (sa.Lifetime.HardUseExpiresSeconds != 0)
        {
            long left = (long)sa.Lifetime.HardUseExpiresSeconds + (used != 0 ? used : now) - now;
            if (left <= 0)
            {
                Expire(sa);
                return;
            }
            next = Math.Min(next, left);
        }
        if (!sa.IsDying)
        {
            bool warn = false;
            if (sa.Lifetime.SoftAddExpiresSeconds != 0)
            {
                long left = (long)sa.Lifetime.SoftAddExpiresSeconds + added - now;
                if (left <= 0)
                {
                    warn = true;
                    sa.Timer.SoftPending = false;
                }
                else if (left < next)
                {
                    next = left;
                    sa.Timer.SoftPending = true;
                    sa.Timer.SoftSaved = left;
                }
            }
            if (sa.Lifetime.SoftUseExpiresSeconds != 0)
            {
                long left = (long)sa.Lifetime.SoftUseExpiresSeconds + (used != 0 ? used : now) - now;
                warn |= left <= 0;
                next = left > 0 ? Math.Min(next, left) : next;
            }
            sa.IsDying = warn;
            if (warn)
            {
                space.BumpGeneration();
                space.KeyManagers.Notify(new SaEvent(SaEventKind.Expire, sa) { Hard = false });
            }
        }
        if (next != long.MaxValue)
        {
            Arm(sa, (ulong)next);
        }
    }

    private void Expire(SecurityAssociation sa)
    {
        if (sa.State == SaState.Acq && sa.Id.Spi.Raw == 0)
        {
            sa.State = SaState.Expired;
        }
        space.ExpireNow(sa, hard: true);
    }

    // xfrm_policy_timer
    private void OnPolicy(Policy policy)
    {
        if (policy.IsDead)
        {
            return;
        }
        long now = (long)space.WallSeconds, added = (long)policy.AddTime, used = policy.UseTime != 0 ? (long)policy.UseTime : added, next = long.MaxValue;
        XfrmLifetimeCfg limits = policy.Lifetime;
        bool warn = false;
        if (Left(limits.HardAddExpiresSeconds, added) <= 0 || Left(limits.HardUseExpiresSeconds, used) <= 0)
        {
            if (space.Spd.Delete(policy))
            {
                space.KeyManagers.NotifyPolicy(new PolicyEvent(PolicyEventKind.Expire, policy) { Direction = policy.Direction, Type = policy.Type, Hard = true });
            }
            return;
        }
        next = Math.Min(Left(limits.HardAddExpiresSeconds, added), Left(limits.HardUseExpiresSeconds, used));
        foreach ((ulong limit, long since) in new[] { (limits.SoftAddExpiresSeconds, added), (limits.SoftUseExpiresSeconds, used) })
        {
            long left = Left(limit, since);
            if (left <= 0)
            {
                warn = true;
                left = PolicyGraceSeconds;
            }
            next = Math.Min(next, left);
        }
        if (warn)
        {
            space.KeyManagers.NotifyPolicy(new PolicyEvent(PolicyEventKind.Expire, policy) { Direction = policy.Direction, Type = policy.Type });
        }
        if (next != long.MaxValue)
        {
            Arm(policy, (ulong)next);
        }

        long Left(ulong limit, long since) => limit == 0 ? long.MaxValue : (long)limit + since - now;
    }

    private void Arm(Policy policy, ulong seconds)
    {
        policy.NextTimer = DueIn(seconds);
        Enqueue(new Entry(Kind.Policy, policy), policy.NextTimer);
    }

    private long DueIn(ulong seconds) =>
        space.Time.GetTimestamp() + (long)(Math.Min(seconds, (ulong)int.MaxValue) * (ulong)space.Time.TimestampFrequency);

    private void Enqueue(Entry entry, long due)
    {
        _due.Enqueue(entry, due);
        Rearm();
    }

    private void Rearm()
    {
        if (!_due.TryPeek(out _, out long due))
        {
            _armedFor = long.MaxValue;
            return;
        }
        long now = space.Time.GetTimestamp();
        if (due >= _armedFor && _armedFor > now)
        {
            return;
        }
        _armedFor = due;
        // A timer takes at most 49 days; it is set again when it fires early.
        double milliseconds = Math.Clamp((due - now) * 1000.0 / space.Time.TimestampFrequency, 0, int.MaxValue);
        TimeSpan wait = TimeSpan.FromMilliseconds(Math.Ceiling(milliseconds));
        if (_timer is null)
        {
            _timer = space.Time.CreateTimer(static state => ((XfrmNamespace)state!).OnTimer(), space, wait, Timeout.InfiniteTimeSpan);
        }
        else
        {
            _timer.Change(wait, Timeout.InfiniteTimeSpan);
        }
    }

    private readonly record struct Entry(Kind Kind, object Owner)
    {
        public SecurityAssociation Sa => (SecurityAssociation)Owner;
        public Policy Policy => (Policy)Owner;
    }
}
