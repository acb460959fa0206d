namespace Xfrmd.Attach;

/// <summary>Where a program wants what it receives: the arguments of recvfrom(2), recvmsg(2), or one of those of recvmmsg(2).</summary>
internal sealed class ReceiveTarget
{
    public required IoVector[] Vectors { get; init; }

    /// <summary>Of recvfrom(2) the place of the name alone.</summary>
    public required MessageHeader Header { get; init; }

    /// <summary>Where <c>struct user_msghdr</c> is; 0 for recvfrom(2).</summary>
    public ulong HeaderAddress { get; init; }

    /// <summary>Where recvfrom(2) has the room for the name, and is told its length.</summary>
    public ulong NameLengthAddress { get; init; }

    /// <summary>Where recvmmsg(2) wants <c>msg_len</c>, and counts one; else 0.</summary>
    public ulong CountAddress { get; init; }

    public bool IsMessage => HeaderAddress != 0;
}
