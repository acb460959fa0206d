namespace Xfrmd.Kernel.Tests;

public sealed class TimerQueueTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void What_is_due_first_comes_first_whatever_the_order_of_arming(int seed)
    {
        Random random = new(seed);
        TimerQueue<int> queue = new();
        List<long> waiting = [];
        for (int step = 0; step < 20_000; step++)
        {
            // Some spans that come again and again, and some that do not.
            long due = step + (random.Next(3) switch { 0 => 100, 1 => 3600, _ => random.Next(5000) });
            queue.Enqueue(step, due);
            waiting.Add(due);
            if (step % 3 == 0)
            {
                AssertFirst();
            }
        }
        queue.RemoveWhere((_, due) => due % 2 == 0);
        waiting.RemoveAll(due => due % 2 == 0);
        Assert.Equal(waiting.Count, queue.Count);
        while (waiting.Count > 0)
        {
            AssertFirst();
        }
        Assert.False(queue.TryPeek(out _, out _));

        void AssertFirst()
        {
            Assert.True(queue.TryPeek(out _, out long due));
            queue.Dequeue();
            Assert.Equal(waiting.Min(), due);
            waiting.Remove(due);
        }
    }
}
