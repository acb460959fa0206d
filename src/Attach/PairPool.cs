using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

/// <summary>
/// Pairs for netlink sockets of the daemon's own network namespace, made beforehand: a program that opens one socket after the other waits for
/// each. Each socket that is closed has one made.
/// </summary>
internal sealed class PairPool : IDisposable
{
    private const int Most = 4;
    private readonly ConcurrentQueue<Pair> _pairs = [];

    /// <summary>Makes one more where they are few. The calling thread is in the daemon's own network namespace.</summary>
    public void Refill()
    {
        if (_pairs.Count >= Most)
        {
            return;
        }
        try
        {
            _pairs.Enqueue(Make(named: true, nonBlocking: false));
        }
        catch (LinuxException)
        {
            // Out of descriptors: who asks for one is told.
        }
    }

    public bool TryTake(out Pair pair) => _pairs.TryDequeue(out pair);

    /// <summary>A pair in the network namespace of the calling thread.</summary>
    public static Pair Make(bool named, bool nonBlocking)
    {
        (SafeFileHandle program, SafeFileHandle ours) = SeqpacketSocket.CreatePair(named, nonBlocking);
        if (named)
        {
            SeqpacketSocket.ReportSenders(ours);   // on an unnamed end it would make the kernel choose a name
        }
        return new Pair(program, ours, FileNumber.Of(program));
    }

    public void Dispose()
    {
        while (_pairs.TryDequeue(out Pair pair))
        {
            pair.Program.Dispose();
            pair.Ours.Dispose();
        }
    }

    /// <param name="Program">The program's end.</param>
    /// <param name="Ours">The daemon's end.</param>
    /// <param name="Inode">The number of the program's end.</param>
    internal readonly record struct Pair(SafeFileHandle Program, SafeFileHandle Ours, ulong Inode);
}
