namespace Xfrmd.Kernel;

/// <summary>
/// Faults that a person has asked for, to see how a program bears them: none unless <c>xfrmd fault</c> sets some. Any thread.
/// </summary>
public sealed class Faults
{
    private readonly object _change = new();   // and what delayed requests wait on
    private volatile FaultRule[] _rules = [];

    public IReadOnlyList<FaultRule> Rules => _rules;

    public bool IsEmpty => _rules.Length == 0;

    public void Add(FaultRule rule)
    {
        lock (_change)
        {
            _rules = [.. _rules, rule];
        }
    }

    /// <summary>Forgets all; requests that wait go on.</summary>
    public void Clear()
    {
        lock (_change)
        {
            _rules = [];
            Monitor.PulseAll(_change);
        }
    }

    /// <summary>What happens to this message: the first rule that strikes it, other than a delay. Each rule counts it.</summary>
    public FaultRule? Find(in FaultSubject subject)
    {
        FaultRule? found = null;
        foreach (FaultRule rule in _rules)
        {
            if (rule.Kind != FaultKind.Delay && rule.Subject == subject && rule.Strikes())
            {
                found ??= rule;
            }
        }
        return found;
    }

    /// <summary>Lets a request wait, where one is to. The caller holds no gate: others go on meanwhile.</summary>
    public void Wait(in FaultSubject subject)
    {
        foreach (FaultRule rule in _rules)
        {
            if (rule.Kind == FaultKind.Delay && rule.Subject == subject && rule.Strikes())
            {
                Wait(rule);
            }
        }
    }

    private void Wait(FaultRule rule)
    {
        long start = TimeProvider.System.GetTimestamp();
        lock (_change)
        {
            for (TimeSpan left = rule.Delay; left > TimeSpan.Zero && Array.IndexOf(_rules, rule) >= 0; left = rule.Delay - TimeProvider.System.GetElapsedTime(start))
            {
                Monitor.Wait(_change, left);
            }
        }
    }
}
