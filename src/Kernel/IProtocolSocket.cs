namespace Xfrmd.Kernel;

/// <summary>
/// One socket of a protocol family as the kernel side sees it: <c>struct proto_ops</c> without the receives, which the program does on its
/// own end of <see cref="IReceiveBuffer"/>. Implemented by Netlink and PfKey, driven by Attach. Every method may be called from any
/// thread and returns at once; <paramref name="caller"/> is who calls now, not who opened the socket.
/// </summary>
public interface IProtocolSocket : IDisposable
{
    /// <summary>One datagram from the program. All direct answers are queued when this returns. <see cref="Errno.None"/>: all bytes were taken.</summary>
    /// <param name="datagram">The payload of send(2).</param>
    /// <param name="address">The destination given with it (a raw <c>sockaddr</c>), or empty.</param>
    /// <param name="caller">Who sends.</param>
    Errno Send(ReadOnlySpan<byte> datagram, ReadOnlySpan<byte> address, in Caller caller);

    /// <summary>The program has read something, and maybe not told of it (<see cref="NoteReceive"/>): a dump may go on.</summary>
    void OnReceiveSpace();

    /// <summary>
    /// Whether <see cref="OnReceiveSpace"/> has anything to do now. Each report costs a wake-up per datagram that the program reads, so a
    /// socket without a dump under way says no. Asked after each call into the socket.
    /// </summary>
    bool AwaitsReceiveSpace => true;

    Errno Bind(ReadOnlySpan<byte> address, in Caller caller);

    Errno Connect(ReadOnlySpan<byte> address, in Caller caller);

    /// <summary>Writes the raw <c>sockaddr</c>; <paramref name="written"/> is its full length even where the span is shorter.</summary>
    Errno GetSocketName(Span<byte> address, out int written);

    Errno GetPeerName(Span<byte> address, out int written);

    Errno SetOption(int level, int name, ReadOnlySpan<byte> value, in Caller caller);

    Errno GetOption(int level, int name, Span<byte> value, out int written);

    /// <summary>The source address that a receive reports (raw <c>sockaddr</c>); 0 where the family gives none (AF_KEY).</summary>
    /// <param name="address">Takes it.</param>
    /// <param name="place">Of the datagram in the queue: 0 is read next.</param>
    int GetReceiveAddress(Span<byte> address, int place);

    /// <summary>Whether a receive tells <see cref="GetReceiveOrigin"/> in control messages.</summary>
    bool TellsOrigins => false;

    /// <summary>What a receive tells beside the address, of a datagram at a place in the queue.</summary>
    ReceiveOrigin GetReceiveOrigin(int place) => default;

    /// <summary>The process of a port that a datagram came from, as that sees itself; 0: the kernel.</summary>
    int ProcessAt(uint port) => 0;

    /// <summary>Takes the pending error (<c>sk_err</c>, for instance ENOBUFS after an overflow) that the next intercepted receive returns.</summary>
    Errno TakePendingError();

    /// <summary>A receive with room for so many bytes is about to take or look at the first datagram, if there is one: a dump may go on, and knows how much to send at once.</summary>
    /// <param name="room">For how much.</param>
    /// <param name="taken">How many datagrams it and those before it in the same call take; 0: it looks.</param>
    void NoteReceive(ulong room, int taken)
    {
    }
}
