using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

/// <summary>
/// A receive that we do for a program, because it is to tell what the kernel beneath does not know: the group (NETLINK_PKTINFO), the
/// namespace (NETLINK_LISTEN_ALL_NSID) and the sender (SO_PASSCRED), or the source of what it waits for. As <c>netlink_recvmsg</c>,
/// <c>____sys_recvmsg</c> and <c>__sys_recvfrom</c>. One that has to wait does so on a thread of its own.
/// </summary>
internal sealed class ProgramReceive(
    SeccompListener listener, ProcessMemory memory, EmulatedSocket socket, SafeFileHandle end, ulong id, ThreadView caller, ReceiveTarget target, int flags)
{
    private readonly int _thread = caller.Tid, _process = caller.Tgid;   // the view is the session's
    private const int PortOffset = 4;
    private const int ControlHeader = 16, ERESTARTSYS = 512;

    /// <summary>How long a signal may wait until it ends a receive that we hold: the kernel does not tell us of any.</summary>
    private const int PatienceMilliseconds = 50;

    /// <summary>At once, or an answer that comes later.</summary>
    /// <param name="holdsSignals">The call is not ended by signals while we have it (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).</param>
    public Answer Start(bool holdsSignals)
    {
        bool held = false;
        try
        {
            if ((flags & SocketAbi.MsgOob) != 0)
            {
                return Errno.EOPNOTSUPP;
            }
            if (TryTake() is { } answer)
            {
                return answer;
            }
            if ((flags & SocketAbi.MsgDontWait) != 0 || SocketOptions.IsNonBlocking(end))
            {
                return Errno.EAGAIN;
            }
            listener.Handle.DangerousAddRef(ref held);
            new Thread(() => Wait(holdsSignals)) { Name = "attach-receive", IsBackground = true }.Start();
            return Answer.Held;
        }
        finally
        {
            if (!held)
            {
                end.Dispose();
            }
        }
    }

    private void Wait(bool holdsSignals)
    {
        try
        {
            Answer answer;
            try
            {
                if (WaitForAnswer(holdsSignals) is not { } found)
                {
                    return;
                }
                answer = found;
            }
            catch (Exception failure) when (failure is not OutOfMemoryException)
            {
                answer = Errno.ENOMEM;
            }
            _ = listener.Answer(answer.ResponseTo(id));
        }
        finally
        {
            end.Dispose();
            listener.Handle.DangerousRelease();
        }
    }

    /// <summary>Null: the caller is gone.</summary>
    private Answer? WaitForAnswer(bool holdsSignals)
    {
        TimeSpan? timeout = SocketOptions.ReceiveTimeout(end);
        long started = TimeProvider.System.GetTimestamp();
        // Its end, too: as long as we hold the socket, it has its port.
        using SafeFileHandle? life = PidFd.TryOpen(_thread, _process, out _);
        ReadyWait ready = life is null ? new(end) : new(end, life);
        for (; ; )
        {
            TimeSpan? left = timeout - TimeProvider.System.GetElapsedTime(started);
            _ = ready.Wait((int)Math.Clamp(Math.Ceiling(left?.TotalMilliseconds ?? PatienceMilliseconds), 0, PatienceMilliseconds));
            if (!listener.IsWaiting(id))
            {
                return null;
            }
            if (TryTake() is { } answer)
            {
                return answer;
            }
            if (left <= TimeSpan.Zero)
            {
                return Errno.EAGAIN;
            }
            if (holdsSignals && PendingSignals.WouldWake(_thread))
            {
                return timeout is null ? Answer.Error(ERESTARTSYS) : Errno.EINTR;   // sock_intr_errno
            }
        }
    }

    /// <summary>Null: nothing is there.</summary>
    private Answer? TryTake()
    {
        Errno error = socket.Call(s => s.TakePendingError(), Errno.None);
        if (error != Errno.None)
        {
            return error;
        }
        int room = MessageDelivery.RoomOf(target.Vectors);
        // Two receives must not tell each other's source.
        lock (socket.Receiving)
        {
            int length = SeqpacketSocket.TryPeekLength(end);
            if (length <= 0)
            {
                return length == 0 ? Answer.Value(0) : length == -(int)Errno.EAGAIN ? null : Answer.Error(-length);
            }
            socket.Handler.NoteReceive((ulong)room, (flags & SocketAbi.MsgPeek) != 0 ? 0 : 1);
            if (!listener.IsWaiting(id))
            {
                return Errno.EINTR;   // killed: nobody hears it
            }
            Span<byte> address = stackalloc byte[SocketAbi.MaxAddress];
            address = address[..socket.Handler.GetReceiveAddress(address, place: 0)];
            ReceiveOrigin origin = socket.Handler.GetReceiveOrigin(place: 0);
            int used = Math.Min(length, room);
            byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Max(used, 1));
            try
            {
                Span<byte> data = buffer.AsSpan(0, used);
                length = (flags & SocketAbi.MsgPeek) != 0 ? SeqpacketSocket.TryPeek(end, data) : SeqpacketSocket.TryReceive(end, data, out _);
                return length < 0 ? null : Deliver(data, length, address, origin);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }

    private Answer Deliver(ReadOnlySpan<byte> data, int length, ReadOnlySpan<byte> address, ReceiveOrigin origin)
    {
        byte[] control = new byte[Math.Min(target.Header.Control == 0 ? 0 : target.Header.ControlLength, 256)];
        _ = memory.TryRead(_thread, target.Header.Control, control);   // what pads a message stays the program's
        int told = 0, outFlags = (flags & SocketAbi.MsgCmsgCloseOnExec) | (data.Length < length ? SocketAbi.MsgTrunc : 0);
        if (origin.Group is { } group)
        {
            Put(control, ref told, SocketAbi.SolNetlink, SocketAbi.NetlinkPktInfo, MemoryMarshal.AsBytes<int>([group]), ref outFlags);
        }
        if (origin.NamespaceNumber is { } number)
        {
            Put(control, ref told, SocketAbi.SolNetlink, SocketAbi.NetlinkListenAllNsid, MemoryMarshal.AsBytes<int>([number]), ref outFlags);
        }
        if (socket.TellsSenders)
        {
            // Only root sends to another's port.
            ReadOnlySpan<int> credentials = [socket.Handler.ProcessAt(MemoryMarshal.Read<uint>(address[PortOffset..])), 0, 0];
            Put(control, ref told, SocketAbi.SolSocket, SocketAbi.ScmCredentials, MemoryMarshal.AsBytes(credentials), ref outFlags);
        }
        if (!MessageDelivery.TryWriteData(memory, _thread, target.Vectors, data))
        {
            _ = memory.TryWrite(_thread, target.Header.Control, control.AsSpan(0, told));
            return Errno.EFAULT;
        }
        Errno errno = target.IsMessage
            ? MessageDelivery.WriteHeader(memory, _thread, target.HeaderAddress, target.Header, address, control.AsSpan(0, told), outFlags)
            : MessageDelivery.WriteName(memory, _thread, target.Header.Name, target.NameLengthAddress, address);
        if (errno != Errno.None)
        {
            return errno;
        }
        int got = (flags & SocketAbi.MsgTrunc) != 0 ? length : data.Length;
        if (target.CountAddress == 0)
        {
            return Answer.Value(got);
        }
        return memory.TryWrite(_thread, target.CountAddress, got) ? Answer.Value(1) : Errno.EFAULT;
    }

    /// <summary><c>put_cmsg</c>.</summary>
    private static void Put(Span<byte> control, ref int told, int level, int type, ReadOnlySpan<byte> data, ref int outFlags)
    {
        Span<byte> free = control[told..];
        if (free.Length < ControlHeader)
        {
            outFlags |= SocketAbi.MsgCTrunc;
            return;
        }
        int length = ControlHeader + data.Length;
        if (free.Length < length)
        {
            outFlags |= SocketAbi.MsgCTrunc;
            length = free.Length;
        }
        MemoryMarshal.Write(free, (ulong)length);
        MemoryMarshal.Write(free[sizeof(ulong)..], level);
        MemoryMarshal.Write(free[(sizeof(ulong) + sizeof(int))..], type);
        data[..(length - ControlHeader)].CopyTo(free[ControlHeader..]);
        told += Math.Min((ControlHeader + data.Length + 7) & ~7, free.Length);
    }
}
