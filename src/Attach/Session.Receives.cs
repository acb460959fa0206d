using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

// Receives. The kernel does them on the program's end of the pair, but for those that tell what it does not know (ProgramReceive).
internal sealed partial class Session
{
    private const int MaxRemembered = 4096;

    /// <summary>
    /// Lengths that we set to 0 for the kernel, by caller and place, with how many datagrams had been read. A receive that fails leaves the 0 there,
    /// and a program that calls again with the same variable (or a restart after a signal) means what it had said first.
    /// </summary>
    private readonly Dictionary<(uint Thread, ulong Length, ulong Address), (int Room, ulong Socket, long Taken)> _lengths = [];

    private Answer RecvFrom(in SeccompNotification call)
    {
        if (Ours(call) is not { } socket)
        {
            return ReceiveLinkFrom(call);
        }
        Errno errno = BeginReceive(socket, Int(call, 3));
        if (errno != Errno.None)
        {
            return errno;
        }
        NoteReceive(socket, Pointer(call, 2), TakenBy(Int(call, 3), 0));
        if (Pointer(call, 4) != 0)
        {
            if (WouldBlock(call, socket, Int(call, 3), out bool waits))
            {
                return Errno.EAGAIN;
            }
            if (waits && ReceiveLater(call, socket, Int(call, 3), FromArguments(call)) is { } answer)
            {
                return answer;
            }
            FillAddress(call, socket, Pointer(call, 4), Pointer(call, 5), 0, waits);
        }
        return Answer.Continue;
    }

    /// <summary>What comes tells its source, which we do not know yet. Null where a container forbids us the program's end, or the family has no addresses.</summary>
    private Answer? ReceiveLater(in SeccompNotification call, EmulatedSocket socket, int flags, ReceiveTarget target) =>
        socket.Domain == SocketAbi.AfNetlink ? Receive(call, socket, flags, target) : null;

    private static ReceiveTarget FromArguments(in SeccompNotification call) => new()
    {
        Vectors = [new IoVector { Base = Pointer(call, 1), Length = Pointer(call, 2) }],
        Header = new MessageHeader { Name = Pointer(call, 4) },
        NameLengthAddress = Pointer(call, 5),
    };

    /// <summary>Flags that there are not; then an error that waits is told (<c>netlink_recvmsg</c>, <c>pfkey_recvmsg</c>).</summary>
    private Errno BeginReceive(EmulatedSocket socket, int flags = 0)
    {
        const int known = SocketAbi.MsgPeek | SocketAbi.MsgDontWait | SocketAbi.MsgTrunc | SocketAbi.MsgCmsgCompat;
        if (socket.Domain == SocketAbi.AfKey && (flags & ~known) != 0)
        {
            return Errno.EINVAL;
        }
        if ((flags & SocketAbi.MsgOob) != 0)
        {
            return Errno.EOPNOTSUPP;
        }
        MakeRoom(socket);
        return socket.Call(static s => s.TakePendingError(), Errno.None);
    }

    /// <summary>Whether a receive finds nothing and does not wait for it: then it writes nothing, and we must not either.</summary>
    private bool WouldBlock(in SeccompNotification call, EmulatedSocket socket, int flags, out bool isEmpty)
    {
        isEmpty = socket.Buffer.IsEmpty;
        if (!isEmpty)
        {
            return false;
        }
        if ((flags & SocketAbi.MsgDontWait) != 0)
        {
            return true;
        }
        using SafeFileHandle? end = ThreadOf(call.ThreadId) is { } thread ? PidFd.TryDuplicate((int)call.ThreadId, thread.Tgid, Int(call, 0), out _) : null;
        return end is not null && SocketOptions.IsNonBlocking(end);
    }

    /// <summary>What has been read so far makes room for the next part of a dump (<c>netlink_recvmsg</c>), which must be there when a receive looks.</summary>
    private void MakeRoom(EmulatedSocket socket)
    {
        if (socket.SpaceReported)
        {
            socket.ReportSpace();
            _context.Sockets.Refresh(socket);
        }
    }

    /// <summary>read(2) and readv(2): to tell of an overflow (<c>sk_err</c>).</summary>
    private Answer Read(in SeccompNotification call)
    {
        if (Ours(call) is not { } socket)
        {
            return call.Data.Number == SystemCall.Read ? ReceiveLinkFrom(call) : Answer.Continue;
        }
        ulong room = Pointer(call, 2);
        if (call.Data.Number == SystemCall.ReadV)
        {
            if (ReadVectors(call, Pointer(call, 1), room, Errno.EINVAL, out IoVector[] vectors) != Errno.None)
            {
                return Answer.Continue;
            }
            room = (ulong)MessageDelivery.RoomOf(vectors);
        }
        if (room == 0)
        {
            return Answer.Continue;   // sock_read_iter: nothing is received
        }
        Errno errno = BeginReceive(socket);
        if (errno != Errno.None)
        {
            return errno;
        }
        NoteReceive(socket, room, taken: 1);
        return Answer.Continue;
    }

    private static int TakenBy(int flags, int place) => (flags & SocketAbi.MsgPeek) != 0 ? 0 : place + 1;

    private void NoteReceive(EmulatedSocket socket, ulong room, int taken)
    {
        socket.Handler.NoteReceive(room, taken);
        if (socket.SpaceReported)
        {
            _context.Sockets.Refresh(socket);
        }
    }

    private Answer RecvMsg(in SeccompNotification call)
    {
        if (Ours(call, reads: 1) is not { } socket)
        {
            return ReceiveLinkMessage(call);
        }
        if (IsCompat(Int(call, 2)))
        {
            return Errno.EINVAL;
        }
        if (socket.HasControl && ReceiveMessage(call, socket, Pointer(call, 1), Int(call, 2)) is { } answer)
        {
            return answer;
        }
        Errno errno = BeginReceive(socket, Int(call, 2));
        return errno == Errno.None ? FillMessageAddress(call, socket, Pointer(call, 1), Int(call, 2), 0, isOne: true) : errno;
    }

    /// <summary>Null where a container forbids us the program's end: then the kernel beneath says what it knows.</summary>
    private Answer? ReceiveMessage(in SeccompNotification call, EmulatedSocket socket, ulong headerPointer, int flags, ulong lengthPointer = 0)
    {
        if (!TryRead(call, headerPointer, out MessageHeader header))
        {
            return Errno.EFAULT;
        }
        if (HasBadName(header))
        {
            return Errno.EINVAL;
        }
        Errno errno = ReadVectors(call, header.Vectors, header.VectorCount, Errno.EMSGSIZE, out IoVector[] vectors);
        return errno == Errno.None
            ? Receive(call, socket, flags, new ReceiveTarget { Vectors = vectors, Header = header, HeaderAddress = headerPointer, CountAddress = lengthPointer })
            : errno;
    }

    /// <summary><c>copy_msghdr_from_user</c> refuses it.</summary>
    private static bool HasBadName(in MessageHeader header) => header.Name != 0 && header.NameLength < 0;

    private Answer? Receive(in SeccompNotification call, EmulatedSocket socket, int flags, ReceiveTarget target)
    {
        if (ThreadOf(call.ThreadId) is not { } thread || PidFd.TryDuplicate((int)call.ThreadId, thread.Tgid, Int(call, 0), out _) is not { } end)
        {
            return null;
        }
        MakeRoom(socket);
        return new ProgramReceive(_listener, _memory, socket, end, call.Id, thread, target, flags).Start(_waitKillable);
    }

    private Answer RecvMMsg(in SeccompNotification call)
    {
        if (Ours(call) is not { } socket)
        {
            return Answer.Continue;
        }
        const int waitForOne = 0x10000;
        int flags = Int(call, 3) & ~waitForOne;
        if (IsCompat(flags))
        {
            return Errno.EINVAL;
        }
        uint count = Math.Min((uint)Int(call, 2), SocketAbi.MaxVectors);
        bool waitsForOne = count == 1 || (Int(call, 3) & waitForOne) != 0;
        bool isLater = waitsForOne && socket.Domain == SocketAbi.AfNetlink && socket.Buffer.IsEmpty;
        if ((socket.HasControl || isLater) && ReceiveMessages(call, socket, count, flags) is { } received)
        {
            return received;
        }
        Errno errno = BeginReceive(socket, flags);
        if (errno != Errno.None)
        {
            return errno;
        }
        Answer answer = Answer.Continue;
        for (uint i = 0; i < count && answer.Kind == AnswerKind.Continue; i++)
        {
            // Who only peeks sees the first again and again.
            int place = (flags & SocketAbi.MsgPeek) != 0 ? 0 : (int)i;
            answer = FillMessageAddress(call, socket, Pointer(call, 1) + (i * MessageHeader.MultipleStride), flags, place);
        }
        return answer;
    }

    /// <summary>As many as are there, and the first in any case: what a program asks for with MSG_WAITFORONE.</summary>
    private Answer? ReceiveMessages(in SeccompNotification call, EmulatedSocket socket, uint count, int flags)
    {
        for (uint i = 0; i < count; i++)
        {
            ulong entry = Pointer(call, 1) + (i * MessageHeader.MultipleStride);
            Answer? answer = ReceiveMessage(call, socket, entry, i == 0 ? flags : flags | SocketAbi.MsgDontWait, entry + MessageHeader.MultipleLength);
            if (answer is not { Kind: AnswerKind.Value })
            {
                return i == 0 ? answer : Answer.Value(i);
            }
        }
        return Answer.Value(count);
    }

    private Answer FillMessageAddress(in SeccompNotification call, EmulatedSocket socket, ulong headerPointer, int flags, int place, bool isOne = false)
    {
        if (!TryRead(call, headerPointer, out MessageHeader header))
        {
            return Answer.Continue;
        }
        if (HasBadName(header) || ReadVectors(call, header.Vectors, header.VectorCount, Errno.EMSGSIZE, out IoVector[] vectors) != Errno.None)
        {
            return Answer.Continue;
        }
        NoteReceive(socket, (ulong)MessageDelivery.RoomOf(vectors), TakenBy(flags, place));
        if (header.Name == 0)
        {
            return Answer.Continue;
        }
        if (WouldBlock(call, socket, flags, out bool waits))
        {
            return Errno.EAGAIN;
        }
        if (isOne && waits
            && ReceiveLater(call, socket, flags, new ReceiveTarget { Vectors = vectors, Header = header, HeaderAddress = headerPointer }) is { } answer)
        {
            return answer;
        }
        FillAddress(call, socket, header.Name, headerPointer + MessageHeader.NameLengthOffset, place, waits || place > 0);
        return Answer.Continue;
    }

    /// <summary>
    /// Writes the source address where the program wants it, and 0 as the room that it has: the kernel, which goes on with the receive,
    /// then writes nothing of its own (AF_UNIX) address there, but still its length, which is the same 12 (<c>move_addr_to_user</c>).
    /// </summary>
    /// <param name="waits">The receive may wait, and so fail or be done again.</param>
    private void FillAddress(in SeccompNotification call, EmulatedSocket socket, ulong addressPointer, ulong lengthPointer, int place, bool waits)
    {
        Span<byte> address = stackalloc byte[SocketAbi.MaxAddress];
        int length = socket.Handler.GetReceiveAddress(address, place);
        if (length == 0 || !TryRead(call, lengthPointer, out int room) || room < 0 || !StillWaits(call))
        {
            return;   // no address in this family; or the kernel's own EFAULT or EINVAL
        }
        var variable = (call.ThreadId, lengthPointer, addressPointer);
        if (room == 0)
        {
            if (!_lengths.TryGetValue(variable, out var before) || before.Socket != socket.Inode || before.Taken != socket.Buffer.Taken)
            {
                return;
            }
            room = before.Room;
        }
        else if (waits)
        {
            if (_lengths.Count >= MaxRemembered)
            {
                _lengths.Clear();
            }
            _lengths[variable] = (room, socket.Inode, socket.Buffer.Taken);
        }
        _ = TryWrite(call, addressPointer, address[..Math.Min(room, length)], lengthPointer, 0);
    }
}
