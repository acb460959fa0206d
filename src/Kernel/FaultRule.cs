namespace Xfrmd.Kernel;

/// <summary>One fault that a person wants: which messages it meets, and what it does to them.</summary>
/// <param name="text">As the person wrote it.</param>
/// <param name="subject">Which messages.</param>
/// <param name="kind">What is done.</param>
public sealed class FaultRule(string text, FaultSubject subject, FaultKind kind)
{
    private long _seen, _struck;

    public string Text => text;

    public FaultSubject Subject => subject;

    public FaultKind Kind => kind;

    /// <summary>With <see cref="FaultKind.Refuse"/>.</summary>
    public Errno Errno { get; init; }

    /// <summary>With <see cref="FaultKind.Delay"/>.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>The first of its messages that it strikes, from 1.</summary>
    public long First { get; init; } = 1;

    /// <summary>The last.</summary>
    public long Last { get; init; } = long.MaxValue;

    /// <summary>Messages that there were.</summary>
    public long Seen => Volatile.Read(ref _seen);

    /// <summary>Those that it struck.</summary>
    public long Struck => Volatile.Read(ref _struck);

    /// <summary>Counts a message: whether it is struck.</summary>
    internal bool Strikes()
    {
        long number = Interlocked.Increment(ref _seen);
        if (number < First || number > Last)
        {
            return false;
        }
        Interlocked.Increment(ref _struck);
        return true;
    }
}
