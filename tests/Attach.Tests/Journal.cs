namespace Xfrmd.Attach.Tests;

/// <summary>Lines that several threads write and a test waits for.</summary>
public sealed class Journal
{
    private readonly List<string> _lines = [];

    public void Add(string line)
    {
        lock (_lines)
        {
            _lines.Add(line);
            Monitor.PulseAll(_lines);
        }
    }

    public string[] Lines
    {
        get
        {
            lock (_lines)
            {
                return [.. _lines];
            }
        }
    }

    /// <summary>Waits until so many lines are there that satisfy the condition.</summary>
    public void WaitFor(Predicate<string> condition, int count = 1)
    {
        long deadline = Environment.TickCount64 + 10_000;
        lock (_lines)
        {
            while (_lines.FindAll(condition).Count < count)
            {
                long left = deadline - Environment.TickCount64;
                Assert.True(left > 0 && Monitor.Wait(_lines, (int)left), "waited in vain; the journal says:\n" + string.Join('\n', _lines));
            }
        }
    }
}
