namespace Xfrmd.Kernel;

/// <summary>
/// The receive queue of a program's socket: Attach implements it with a unix socket, tests with a list. Any thread may call it.
/// </summary>
public interface IReceiveBuffer
{
    /// <summary>Queues one datagram whole, or returns false where the queue is full (the caller's ENOBUFS). Never blocks.</summary>
    /// <param name="datagram">All of it.</param>
    /// <param name="source">Whom it comes from, in the protocol's own coding: <see cref="SourceOf"/> tells it again.</param>
    bool TryEnqueue(ReadOnlySpan<byte> datagram, ulong source = 0);

    /// <summary>The source of a datagram that the program has not read yet, of which 0 is read next; <paramref name="otherwise"/> where none is at that place.</summary>
    ulong SourceOf(int place, ulong otherwise);

    /// <summary>Datagrams that the program has not read yet (0, 1 or "more than one" as 2): a dump is running while more than its end is unread.</summary>
    int UnreadDatagrams { get; }

    /// <summary>
    /// How much of its limit is taken: 0 empty, 1 full (<c>sk_rmem_alloc</c> by <c>sk_rcvbuf</c>). PF_KEY stops a dump at two thirds, so that
    /// other messages still find room.
    /// </summary>
    double Fullness { get; }

    /// <summary>Whether the program has closed its end: the socket is about to go, and counts as gone where another wants its place.</summary>
    bool IsClosed { get; }
}
