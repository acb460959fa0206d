using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Linux.Tests;

/// <summary>Pairs of unix sockets.</summary>
public sealed class SeqpacketSocketTests
{
    [Fact]
    public void Who_is_woken_by_the_reader_finds_nothing_unread()
    {
        const int rounds = 100_000;
        int late = 0;
        bool woken = true;
        (SafeFileHandle program, SafeFileHandle ours) = SeqpacketSocket.CreatePair(named: false, nonBlocking: false);
        using SafeFileHandle programEnd = program, ourEnd = ours;
        Thread reader = new(() =>
        {
            for (int read = 0; read < rounds && Volatile.Read(ref woken);)
            {
                read += SeqpacketSocket.TryReceive(programEnd, [], out _) < 0 ? 0 : 1;
            }
        });
        Thread writer = new(() =>
        {
            _ = Scheduling.TryRunFirst();   // as the thread that watches the sockets
            using Epoll epoll = new();
            epoll.Add(ourEnd, EpollEvents.Out | EpollEvents.EdgeTriggered, 0);
            Span<(EpollEvents, ulong)> happened = new (EpollEvents, ulong)[1];
            _ = epoll.Wait(happened, 0);
            for (int i = 0; i < rounds && woken; i++)
            {
                _ = SeqpacketSocket.TrySend(ourEnd, [1]);
                woken = epoll.Wait(happened, 5000) == 1;
                late += SocketOptions.UnreadBytes(ourEnd) == 0 ? 0 : 1;
            }
        });
        reader.Start();
        writer.Start();
        writer.Join();
        reader.Join();
        Assert.Equal((0, true), (late, woken));
    }
}
