namespace Xfrmd.Kernel;

/// <summary>
/// The receive queue of a program's socket: Attach implements it with a unix socket, tests with a list. Any thread may call it.
/// </summary>
public interface IReceiveBuffer
{
    /// <summary>Queues one datagram whole, or returns false where the queue is full (the caller's ENOBUFS). Never blocks.</summary>
    /// <param name="datagram">All of it.</param>
    /// <param name="source">Whom it comes from, in the protocol's own coding: <see cref="SourceOf"/> tells it again.</param>
    /// <param name="allocated">The length that Linux allocates for it, where that is more than its own: the queue is full by memory (<c>skb->truesize</c>).</param>
    bool TryEnqueue(ReadOnlySpan<byte> datagram, ulong source = 0, int allocated = 0);

    /// <summary>Whether a datagram for which so much is allocated has room, once the program has read so many more.</summary>
    bool HasRoom(int allocated, int first);

    /// <summary>Queues what has room. False: the machine has not.</summary>
    bool Enqueue(ReadOnlySpan<byte> datagram, int allocated);

    /// <summary>The source of a datagram that the program has not read yet, of which 0 is read next; <paramref name="otherwise"/> where none is at that place.</summary>
    ulong SourceOf(int place, ulong otherwise);

    /// <summary>The program has read all that it was sent.</summary>
    bool IsEmpty { get; }

    /// <summary>
    /// How much of its limit is taken: 0 empty, 1 full (<c>sk_rmem_alloc</c> by <c>sk_rcvbuf</c>). A dump goes on
    /// below a part of it, so that other messages still find room.
    /// </summary>
    double Fullness => FullnessWithout(0);

    /// <summary>The same once the program has read so many more datagrams.</summary>
    double FullnessWithout(int first);

    /// <summary>Whether the program has closed its end: the socket is about to go, and counts as gone where another wants its place.</summary>
    bool IsClosed { get; }
}
