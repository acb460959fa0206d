using System.Diagnostics;

namespace Xfrmd.Interop.Harness;

/// <summary>Waits for something to become true.</summary>
public static class Wait
{
    public static void Until(Func<bool> condition, string what, TimeSpan? timeout = null)
    {
        TimeSpan limit = timeout ?? TimeSpan.FromSeconds(60);
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > limit)
            {
                throw new InteropException($"waited {limit.TotalSeconds:0.#} s in vain: {what}");
            }
            Thread.Sleep(30);
        }
    }

    /// <summary>Lets time pass where the passing of time is the scenario.</summary>
    public static void Seconds(double seconds) => Thread.Sleep(TimeSpan.FromSeconds(seconds));
}
