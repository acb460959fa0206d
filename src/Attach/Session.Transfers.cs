using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

// Sends, which the protocol takes before the call returns, and receives, which the kernel does on the program's end of the pair.
internal sealed partial class Session
{
    private const int MaxRemembered = 4096;
    private const int Overhead = 32;   // unix_dgram_sendmsg, netlink_sendmsg: sk_sndbuf less this

    /// <summary>
    /// Lengths that we set to 0 for the kernel, by caller and place. A receive that fails leaves the 0 there, and a program that calls
    /// again with the same variable (or a restart after a signal) means what it had said first.
    /// </summary>
    private readonly Dictionary<(uint Thread, ulong Length, ulong Address), int> _lengths = [];

    private Answer SendTo(in SeccompNotification call) => Ours(call) is { } socket
        ? Send(call, socket, [new IoVector { Base = Pointer(call, 1), Length = Pointer(call, 2) }], Pointer(call, 4), Int(call, 5), Int(call, 3))
        : SendLink(call, [new IoVector { Base = Pointer(call, 1), Length = Pointer(call, 2) }]);

    private Answer Write(in SeccompNotification call)
    {
        if (Ours(call) is { } socket)
        {
            return Send(call, socket, [new IoVector { Base = Pointer(call, 1), Length = Pointer(call, 2) }], 0, 0, 0);
        }
        return _context.Writers.Find(SocketInode(call)) is { } writer
            ? WriteSysctl(call, writer)
            : SendLink(call, [new IoVector { Base = Pointer(call, 1), Length = Pointer(call, 2) }]);
    }

    private Answer WriteSysctl(in SeccompNotification call, SysctlWriter writer)
    {
        const int Longest = 64;
        Span<byte> text = stackalloc byte[(int)Math.Min(Pointer(call, 2), Longest)];
        if (!TryRead(call, Pointer(call, 1), text) || !StillWaits(call))
        {
            return Errno.EFAULT;
        }
        Errno errno = writer.Write(text);
        return errno == Errno.None ? Answer.Value((long)Math.Min(Pointer(call, 2), int.MaxValue)) : errno;
    }

    private Answer WriteV(in SeccompNotification call)
    {
        EmulatedSocket? socket = OursAtAnyNumber(call, reads: 1);
        if (socket is null && !_range.Contains(Int(call, 0)))
        {
            return Answer.Continue;   // anybody's
        }
        Errno errno = ReadVectors(call, Pointer(call, 1), Pointer(call, 2), Errno.EINVAL, out IoVector[] vectors);
        if (socket is null)
        {
            return errno == Errno.None ? SendLink(call, vectors) : Answer.Continue;
        }
        return errno == Errno.None ? Send(call, socket, vectors, 0, 0, 0) : errno;
    }

    private Answer SendMsg(in SeccompNotification call)
    {
        if (Ours(call, reads: 1) is { } socket)
        {
            return SendOne(call, socket, Pointer(call, 1), Int(call, 2));
        }
        return TryRead(call, Pointer(call, 1), out MessageHeader header)
            && ReadVectors(call, header.Vectors, header.VectorCount, Errno.EMSGSIZE, out IoVector[] vectors) == Errno.None
                ? SendLink(call, vectors)
                : Answer.Continue;
    }

    private Answer SendMMsg(in SeccompNotification call)
    {
        if (Ours(call) is not { } socket)
        {
            return Answer.Continue;
        }
        // As __sys_sendmmsg: how many were sent, or the error of the first.
        uint count = Math.Min((uint)Int(call, 2), SocketAbi.MaxVectors);
        for (uint i = 0; i < count; i++)
        {
            ulong entry = Pointer(call, 1) + (i * MessageHeader.MultipleStride);
            Answer answer = SendOne(call, socket, entry, Int(call, 3));
            if (answer.Kind == AnswerKind.Error)
            {
                return i == 0 ? answer : Answer.Value(i);
            }
            if (!TryWrite(call, entry + MessageHeader.MultipleLength, (uint)answer.Number))
            {
                return i == 0 ? Errno.EFAULT : Answer.Value(i);
            }
        }
        return Answer.Value(count);
    }

    private Answer SendOne(in SeccompNotification call, EmulatedSocket socket, ulong headerPointer, int flags)
    {
        if (!TryRead(call, headerPointer, out MessageHeader header))
        {
            return Errno.EFAULT;
        }
        Errno errno = ReadVectors(call, header.Vectors, header.VectorCount, Errno.EMSGSIZE, out IoVector[] vectors);
        if (errno == Errno.None && header.ControlLength != 0 && socket.Domain == SocketAbi.AfNetlink)
        {
            errno = CheckControl(call, header);
        }
        return errno == Errno.None
            ? Send(call, socket, vectors, header.Name, Math.Min(header.NameLength, SocketAbi.MaxAddress), flags)
            : errno;
    }

    /// <summary>As <c>__scm_send</c>: a netlink socket passes no descriptors, and of SOL_SOCKET knows only credentials.</summary>
    private Errno CheckControl(in SeccompNotification call, in MessageHeader header)
    {
        const int Longest = 65536, HeaderSize = 16, ScmCredentials = 2, CredentialsSize = 12;
        if (header.ControlLength > Longest)
        {
            return Errno.ENOBUFS;
        }
        byte[] control = new byte[header.ControlLength];
        if (!TryRead(call, header.Control, control))
        {
            return Errno.EFAULT;
        }
        for (int at = 0; control.Length - at >= HeaderSize;)
        {
            ulong length = MemoryMarshal.Read<ulong>(control.AsSpan(at));
            int level = MemoryMarshal.Read<int>(control.AsSpan(at + 8)), type = MemoryMarshal.Read<int>(control.AsSpan(at + 12));
            if (length < HeaderSize || length > (ulong)(control.Length - at))
            {
                return Errno.EINVAL;
            }
            if (level == SocketAbi.SolSocket && (type != ScmCredentials || length != HeaderSize + CredentialsSize))
            {
                return Errno.EINVAL;
            }
            at += ((int)length + 7) & ~7;
        }
        return Errno.None;
    }

    /// <summary>As <c>netlink_sendmsg</c> and <c>pfkey_sendmsg</c>, whose direct answers are queued when send(2) returns.</summary>
    private Answer Send(
        in SeccompNotification call, EmulatedSocket socket, ReadOnlySpan<IoVector> vectors, ulong addressPointer, int addressLength, int flags)
    {
        if ((flags & SocketAbi.MsgOob) != 0)
        {
            return Errno.EOPNOTSUPP;
        }
        _context.Writers.TakeAll();
        Span<byte> address = stackalloc byte[SocketAbi.MaxAddress];
        // Whether it was the caller's is asked once for all that is read.
        Errno errno = ReadAddress(call, addressPointer, addressPointer == 0 ? 0 : addressLength, ref address, verify: false);
        if (errno != Errno.None)
        {
            return errno;
        }
        ulong total = 0;
        foreach (IoVector vector in vectors)
        {
            total = Math.Min(total + Math.Min(vector.Length, int.MaxValue), int.MaxValue);
        }
        if (total > EmulatedSocket.MinSendBuffer - Overhead && total > (ulong)Math.Max(SendBuffer(call, socket) - Overhead, 0))
        {
            return Errno.EMSGSIZE;
        }
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Max((int)total, 1));
        try
        {
            int used = 0;
            foreach (IoVector vector in vectors)
            {
                Span<byte> part = buffer.AsSpan(used, (int)vector.Length);
                if (!TryRead(call, vector.Base, part))
                {
                    return Errno.EFAULT;
                }
                used += part.Length;
            }
            Caller caller = CallerOf(call.ThreadId, socket.Owners);
            if (!StillWaits(call))
            {
                return Errno.EINTR;   // killed: nobody hears it
            }
            errno = Finish(socket, socket.Send(buffer.AsSpan(0, used), address, caller));
            return errno == Errno.None ? Answer.Value(used) : errno;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary><c>sk->sk_sndbuf</c> of the program's end: a longer datagram is EMSGSIZE.</summary>
    private int SendBuffer(in SeccompNotification call, EmulatedSocket socket)
    {
        if (socket.SendBuffer != 0 || ThreadOf(call.ThreadId) is not { } thread)
        {
            return socket.SendBuffer;
        }
        using SafeFileHandle? file = PidFd.TryDuplicate((int)call.ThreadId, thread.Tgid, Int(call, 0), out _);
        return file is null ? 0 : SocketOptions.SendBufferSize(file);
    }

    private Errno ReadVectors(in SeccompNotification call, ulong pointer, ulong count, Errno tooMany, out IoVector[] vectors)
    {
        vectors = [];
        if (count > SocketAbi.MaxVectors)
        {
            return tooMany;
        }
        vectors = new IoVector[count];
        return TryRead(call, pointer, MemoryMarshal.AsBytes(vectors.AsSpan())) ? Errno.None : Errno.EFAULT;
    }

    private Answer RecvFrom(in SeccompNotification call)
    {
        if (Ours(call) is not { } socket)
        {
            return ReceiveLinkFrom(call);
        }
        Errno errno = BeginReceive(socket);
        if (errno != Errno.None)
        {
            return errno;
        }
        socket.Handler.NoteReceive(Pointer(call, 2));
        if (Pointer(call, 4) != 0)
        {
            FillAddress(call, socket, Pointer(call, 4), Pointer(call, 5), 0);
        }
        return Answer.Continue;
    }

    /// <summary>An error that waits is told first.</summary>
    private Errno BeginReceive(EmulatedSocket socket)
    {
        MakeRoom(socket);
        return socket.Call(static s => s.TakePendingError(), Errno.None);
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
        Errno errno = BeginReceive(socket);
        if (errno != Errno.None)
        {
            return errno;
        }
        if (call.Data.Number == SystemCall.Read)
        {
            socket.Handler.NoteReceive(Pointer(call, 2));
        }
        return Answer.Continue;
    }

    private Answer RecvMsg(in SeccompNotification call)
    {
        if (Ours(call, reads: 1) is not { } socket)
        {
            return ReceiveLinkMessage(call);
        }
        if (socket.HasControl && ReceiveWithControl(call, socket) is { } answer)
        {
            return answer;
        }
        Errno errno = BeginReceive(socket);
        if (errno != Errno.None)
        {
            return errno;
        }
        FillMessageAddress(call, socket, Pointer(call, 1), 0);
        return Answer.Continue;
    }

    /// <summary>Null where a container forbids us the program's end: then the kernel beneath says what it knows.</summary>
    private Answer? ReceiveWithControl(in SeccompNotification call, EmulatedSocket socket)
    {
        if (!TryRead(call, Pointer(call, 1), out MessageHeader header))
        {
            return Errno.EFAULT;
        }
        Errno errno = ReadVectors(call, header.Vectors, header.VectorCount, Errno.EMSGSIZE, out IoVector[] vectors);
        if (errno != Errno.None || ThreadOf(call.ThreadId) is not { } thread)
        {
            return errno == Errno.None ? null : errno;
        }
        if (PidFd.TryDuplicate((int)call.ThreadId, thread.Tgid, Int(call, 0), out _) is not { } end)
        {
            return null;
        }
        MakeRoom(socket);
        ProgramReceive receive = new(_listener, _memory, socket, end, call.Id, (int)call.ThreadId, Pointer(call, 1), header, vectors, Int(call, 2));
        return receive.Start(_waitKillable);
    }

    private Answer RecvMMsg(in SeccompNotification call)
    {
        if (Ours(call) is not { } socket)
        {
            return Answer.Continue;
        }
        Errno errno = BeginReceive(socket);
        if (errno != Errno.None)
        {
            return errno;
        }
        uint count = Math.Min((uint)Int(call, 2), SocketAbi.MaxVectors);
        for (uint i = 0; i < count; i++)
        {
            FillMessageAddress(call, socket, Pointer(call, 1) + (i * MessageHeader.MultipleStride), (int)i);
        }
        return Answer.Continue;
    }

    private void FillMessageAddress(in SeccompNotification call, EmulatedSocket socket, ulong headerPointer, int place)
    {
        if (!TryRead(call, headerPointer, out MessageHeader header))
        {
            return;
        }
        // One vector is what programs use; more only keeps dumps in smaller parts.
        if (header.VectorCount == 1 && TryRead(call, header.Vectors, out IoVector vector))
        {
            socket.Handler.NoteReceive(vector.Length);
        }
        if (header.Name != 0)
        {
            FillAddress(call, socket, header.Name, headerPointer + MessageHeader.NameLengthOffset, place);
        }
    }

    /// <summary>
    /// Writes the source address where the program wants it, and 0 as the room that it has: the kernel, which goes on with the receive,
    /// then writes nothing of its own (AF_UNIX) address there, but still its length, which is the same 12 (<c>move_addr_to_user</c>).
    /// </summary>
    private void FillAddress(in SeccompNotification call, EmulatedSocket socket, ulong addressPointer, ulong lengthPointer, int place)
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
            if (!_lengths.TryGetValue(variable, out room))
            {
                return;
            }
        }
        else
        {
            if (_lengths.Count >= MaxRemembered)
            {
                _lengths.Clear();
            }
            _lengths[variable] = room;
        }
        _ = TryWrite(call, addressPointer, address[..Math.Min(room, length)], lengthPointer, 0);
    }
}
