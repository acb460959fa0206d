using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

// Sends, which the protocol takes before the call returns.
internal sealed partial class Session
{
    private const int Overhead = 32;   // unix_dgram_sendmsg, netlink_sendmsg: sk_sndbuf less this

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
        if (errno != Errno.None || MessageDelivery.RoomOf(vectors) == 0)
        {
            return errno;   // do_iter_readv_writev has nothing to write
        }
        return Send(call, socket, vectors, 0, 0, 0);
    }

    private Answer SendMsg(in SeccompNotification call)
    {
        if (Ours(call, reads: 1) is { } socket)
        {
            return IsCompat(Int(call, 2)) ? Errno.EINVAL : SendOne(call, socket, Pointer(call, 1), Int(call, 2));
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
        if (IsCompat(Int(call, 3)))
        {
            return Errno.EINVAL;
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
        return errno == Errno.None
            ? Send(call, socket, vectors, header.Name, Math.Min(header.NameLength, SocketAbi.MaxAddress), flags, header)
            : errno;
    }

    /// <summary>As <c>__scm_send</c>: a netlink socket passes no descriptors, and of SOL_SOCKET knows only credentials.</summary>
    private Errno CheckControl(in SeccompNotification call, EmulatedSocket socket, in MessageHeader header)
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
            if (level == SocketAbi.SolSocket)
            {
                Errno errno = type == ScmCredentials && length == HeaderSize + CredentialsSize
                    ? CheckCredentials(call, socket, MemoryMarshal.Cast<byte, int>(control.AsSpan(at + HeaderSize, CredentialsSize)))
                    : Errno.EINVAL;
                if (errno != Errno.None)
                {
                    return errno;
                }
            }
            at += ((int)length + 7) & ~7;
        }
        return Errno.None;
    }

    /// <summary>
    /// The process that a sender says it is (<c>scm_check_creds</c>, then <c>find_get_pid</c>): another one takes CAP_SYS_ADMIN, and must be there. Nobody is told of it.
    /// </summary>
    private Errno CheckCredentials(in SeccompNotification call, EmulatedSocket socket, ReadOnlySpan<int> credentials)
    {
        const int CapSysAdmin = 21;
        if (ThreadOf(call.ThreadId) is not { } thread || credentials[0] == thread.InnerTgid)
        {
            return Errno.None;
        }
        if ((socket.Owners.CapabilitiesOf(thread) >> CapSysAdmin & 1) == 0)
        {
            return Errno.EPERM;
        }
        bool isOurNumbering = thread.InnerTgid == thread.Tgid;
        return !isOurNumbering || (credentials[0] > 0 && Directory.Exists(string.Create(CultureInfo.InvariantCulture, $"/proc/{credentials[0]}"))) ? Errno.None : Errno.ESRCH;
    }

    /// <summary>As <c>netlink_sendmsg</c> and <c>pfkey_sendmsg</c>, whose direct answers are queued when send(2) returns.</summary>
    private Answer Send(
        in SeccompNotification call, EmulatedSocket socket, ReadOnlySpan<IoVector> vectors, ulong addressPointer, int addressLength, int flags, in MessageHeader header = default)
    {
        _context.Writers.TakeAll();
        Span<byte> address = stackalloc byte[SocketAbi.MaxAddress];
        // Whether it was the caller's is asked once for all that is read.
        Errno errno = ReadAddress(call, addressPointer, addressPointer == 0 ? 0 : addressLength, ref address, verify: false);
        if (errno != Errno.None)
        {
            return errno;
        }
        if ((flags & SocketAbi.MsgOob) != 0)
        {
            return Errno.EOPNOTSUPP;
        }
        int total = MessageDelivery.RoomOf(vectors);
        // To an empty datagram netlink_sendmsg says so before it looks at what comes with it.
        if (header.ControlLength != 0 && total != 0 && socket.Domain == SocketAbi.AfNetlink && CheckControl(call, socket, header) is not Errno.None and var refused)
        {
            return refused;
        }
        if (total > EmulatedSocket.MinSendBuffer - Overhead && total > Math.Max(SendBuffer(call, socket) - Overhead, 0))
        {
            return Errno.EMSGSIZE;
        }
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Max(total, 1));
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
}
