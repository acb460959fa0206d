using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Sockets;

/// <summary>Unix sockets of type SOCK_SEQPACKET: the control socket, and the pairs that programs take for netlink or PF_KEY sockets.</summary>
public static class SeqpacketSocket
{
    /// <summary>The longest path that <c>sockaddr_un</c> holds with its zero byte.</summary>
    public const int MaxPathLength = 107;

    private const int PathOffset = 2, AddressSize = 110;
    private const int NameAttempts = 10;
    private static ulong _nextName = Chance();

    /// <summary>Binds a path that only this user may connect to, and listens. The errno, or 0.</summary>
    public static unsafe int TryListen(string path, out SafeFileHandle? listener)
    {
        listener = Create(0);
        int fd = Descriptor(listener);
        byte* address = stackalloc byte[AddressSize];
        int length = WritePath(path, new Span<byte>(address, AddressSize));

        // The mode of the socket's own inode is the mode that bind gives to the file (unix_bind_bsd): there is no moment in between.
        if (fchmod(fd, (ushort)0x180) != 0 || bind(fd, (sockaddr*)address, length) != 0 || Tmds.Linux.LibC.listen(fd, 128) != 0)
        {
            int errno = Libc.LastErrno;
            listener.Dispose();
            listener = null;
            return errno;
        }
        return 0;
    }

    /// <summary>Connects to a path. The errno, or 0.</summary>
    public static unsafe int TryConnect(string path, out SafeFileHandle? socket)
    {
        socket = Create(0);
        byte* address = stackalloc byte[AddressSize];
        int length = WritePath(path, new Span<byte>(address, AddressSize));
        while (connect(Descriptor(socket), (sockaddr*)address, length) != 0)
        {
            int errno = Libc.LastErrno;
            if (errno != Libc.EINTR)
            {
                socket.Dispose();
                socket = null;
                return errno;
            }
        }
        return 0;
    }

    /// <summary>Takes the next connection; null where the listener was shut down.</summary>
    public static unsafe SafeFileHandle? Accept(SafeFileHandle listener)
    {
        for (; ; )
        {
            int fd = accept4(Descriptor(listener), null, null, SOCK_CLOEXEC);
            if (fd >= 0)
            {
                return new SafeFileHandle(fd, ownsHandle: true);
            }
            switch (Libc.LastErrno)
            {
                case Libc.EINTR:
                    continue;
                case Libc.EINVAL or Libc.EBADF:
                    return null;
                default:
                    throw new LinuxException(Libc.LastErrno, "accept4");
            }
        }
    }

    /// <summary>Wakes every thread that waits on the socket, for good.</summary>
    public static void Shutdown(SafeFileHandle socket) => _ = shutdown(Descriptor(socket), SHUT_RDWR);

    /// <summary>The other end reads what is queued, then the end.</summary>
    public static void EndSending(SafeFileHandle socket) => _ = shutdown(Descriptor(socket), SHUT_WR);

    /// <summary>Whether nothing can come any more: the other end is closed or has ended sending. Tells the end from an empty datagram.</summary>
    public static unsafe bool HasEnded(SafeFileHandle socket)
    {
        const short PollRdHup = 0x2000;
        pollfd entry = new() { fd = Descriptor(socket), events = PollRdHup };
        return poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | PollRdHup)) != 0;
    }

    /// <summary>Whether the other end is closed.</summary>
    public static unsafe bool HasHungUp(SafeFileHandle socket)
    {
        pollfd entry = new() { fd = Descriptor(socket) };
        return poll(&entry, 1, 0) > 0 && (entry.revents & POLLHUP) != 0;
    }

    public static unsafe PeerCredentials GetPeerCredentials(SafeFileHandle socket)
    {
        ucred credentials;
        socklen_t length = sizeof(ucred);
        Libc.Check(getsockopt(Descriptor(socket), SOL_SOCKET, SO_PEERCRED, &credentials, &length), "SO_PEERCRED");
        return new PeerCredentials((int)credentials.pid, (uint)credentials.uid, (uint)credentials.gid);
    }

    /// <summary>
    /// Two connected sockets, made in the network namespace of the calling thread. With <paramref name="named"/> the address that the
    /// program's receives report is 12 bytes long, as <c>sockaddr_nl</c> is, and where that has the port it has zeros.
    /// </summary>
    public static (SafeFileHandle Program, SafeFileHandle Ours) CreatePair(bool named, bool nonBlocking)
    {
        (SafeFileHandle program, SafeFileHandle ours) = CreatePair(nonBlocking);
        if (named)
        {
            _ = TryName(ours);
        }
        return (program, ours);
    }

    /// <summary>Sends one datagram, never blocking. 0 or the errno (EAGAIN: full; EPIPE, ECONNRESET: nobody reads any more).</summary>
    public static unsafe int TrySend(SafeFileHandle socket, ReadOnlySpan<byte> datagram)
    {
        fixed (byte* bytes = datagram)
        {
            for (; ; )
            {
                if (send(Descriptor(socket), bytes, datagram.Length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                {
                    return 0;
                }
                if (Libc.LastErrno != Libc.EINTR)
                {
                    return Libc.LastErrno;
                }
            }
        }
    }

    /// <summary>What the next receive of the other party would take, as far as it fits. The datagram's full length, or minus the errno.</summary>
    public static int TryPeek(SafeFileHandle socket, Span<byte> buffer) => TryReceive(socket, buffer, MSG_PEEK, out _);

    /// <summary>The length of the next datagram, which stays queued; or minus the errno. 0 at the end, or for an empty one.</summary>
    public static int TryPeekLength(SafeFileHandle socket) => TryReceive(socket, [], MSG_PEEK, out _);

    /// <summary>
    /// Receives one datagram, never blocking: its length, or minus the errno. 0 at the end, or for an empty datagram.
    /// </summary>
    /// <param name="socket">The socket.</param>
    /// <param name="buffer">Where it goes.</param>
    /// <param name="sender">Who sent it where SO_PASSCRED is on; else 0.</param>
    public static int TryReceive(SafeFileHandle socket, Span<byte> buffer, out int sender) => TryReceive(socket, buffer, 0, out sender);

    /// <summary>SO_PASSCRED: from now on each datagram tells who sent it.</summary>
    public static void ReportSenders(SafeFileHandle socket) => _ = SocketOptions.TrySetInt(socket, SOL_SOCKET, SO_PASSCRED, 1);

    /// <summary>Sends a message, with a descriptor if there is one. Blocks. 0 or the errno.</summary>
    public static unsafe int SendMessage(SafeFileHandle socket, ReadOnlySpan<byte> message, int descriptor = -1)
    {
        fixed (byte* bytes = message)
        {
            iovec vector = new() { iov_base = bytes, iov_len = message.Length };
            DescriptorControl control = new() { Length = 20, Level = SOL_SOCKET, Type = SCM_RIGHTS, Descriptor = descriptor };
            msghdr header = new() { msg_iov = &vector, msg_iovlen = 1 };
            if (descriptor >= 0)
            {
                header.msg_control = &control;
                header.msg_controllen = sizeof(DescriptorControl);
            }
            for (; ; )
            {
                if ((long)sendmsg(Descriptor(socket), &header, MSG_NOSIGNAL) >= 0)
                {
                    return 0;
                }
                if (Libc.LastErrno != Libc.EINTR)
                {
                    return Libc.LastErrno;
                }
            }
        }
    }

    /// <summary>Receives a message and the descriptor that came with it. Blocks. Its length (0: closed), or minus the errno.</summary>
    public static unsafe int ReceiveMessage(SafeFileHandle socket, Span<byte> buffer, out SafeFileHandle? descriptor)
    {
        descriptor = null;
        fixed (byte* bytes = buffer)
        {
            iovec vector = new() { iov_base = bytes, iov_len = buffer.Length };
            DescriptorControl control = default;
            msghdr header = new() { msg_iov = &vector, msg_iovlen = 1, msg_control = &control, msg_controllen = sizeof(DescriptorControl) };
            for (; ; )
            {
                ssize_t length = recvmsg(Descriptor(socket), &header, MSG_CMSG_CLOEXEC);
                if ((long)length >= 0)
                {
                    if (control.Length >= 20 && control.Level == SOL_SOCKET && control.Type == SCM_RIGHTS)
                    {
                        descriptor = new SafeFileHandle(control.Descriptor, ownsHandle: true);
                    }
                    return (int)(long)length;
                }
                if (Libc.LastErrno != Libc.EINTR)
                {
                    return -Libc.LastErrno;
                }
            }
        }
    }

    private static unsafe int TryReceive(SafeFileHandle socket, Span<byte> buffer, int flags, out int sender)
    {
        sender = 0;
        fixed (byte* bytes = buffer)
        {
            iovec vector = new() { iov_base = bytes, iov_len = buffer.Length };
            CredentialsControl control = default;
            msghdr header = new() { msg_iov = &vector, msg_iovlen = 1, msg_control = &control, msg_controllen = sizeof(CredentialsControl) };
            for (; ; )
            {
                ssize_t length = recvmsg(Descriptor(socket), &header, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC | flags);
                if ((long)length >= 0)
                {
                    if (control.Length >= 28 && control.Level == SOL_SOCKET && control.Type == SCM_CREDENTIALS)
                    {
                        sender = control.ProcessId;
                    }
                    return (int)(long)length;
                }
                if (Libc.LastErrno != Libc.EINTR)
                {
                    return -Libc.LastErrno;
                }
            }
        }
    }

    /// <summary>
    /// Binds to an abstract name as long as sockaddr_nl, which nobody else has: one after the other from a start that is chance, and where one is
    /// taken, chance again. Where a port would be it has zeros, as who reads without our knowledge shall find the kernel's.
    /// </summary>
    private static unsafe bool TryName(SafeFileHandle socket)
    {
        const int Size = 12, TagOffset = 3, PortEnd = 8;
        byte* name = stackalloc byte[Size];
        Span<byte> bytes = new(name, Size);
        for (int attempt = 0; attempt < NameAttempts; attempt++)
        {
            bytes.Clear();   // the path's first byte too: abstract
            ulong number = attempt == 0 ? Interlocked.Increment(ref _nextName) : Chance();
            bytes[TagOffset] = (byte)(number >> 32);
            MemoryMarshal.Write(bytes[PortEnd..], (uint)number);
            MemoryMarshal.Write(bytes, (ushort)AF_UNIX);
            if (bind(Descriptor(socket), (sockaddr*)name, Size) == 0)
            {
                return true;
            }
        }
        return false;
    }

    private static ulong Chance() => BitConverter.ToUInt64(System.Security.Cryptography.RandomNumberGenerator.GetBytes(sizeof(ulong)));

    private static unsafe (SafeFileHandle Program, SafeFileHandle Ours) CreatePair(bool nonBlocking)
    {
        int* pair = stackalloc int[2];
        Libc.Check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), "socketpair");
        if (nonBlocking)
        {
            Libc.Check(fcntl(pair[0], F_SETFL, O_RDWR | O_NONBLOCK), "F_SETFL");
        }
        return (new SafeFileHandle(pair[0], ownsHandle: true), new SafeFileHandle(pair[1], ownsHandle: true));
    }

    private static SafeFileHandle Create(int flags) =>
        new(Libc.Check(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0), "socket"), ownsHandle: true);

    private static int WritePath(string path, Span<byte> address)
    {
        address.Clear();
        address[0] = (byte)AF_UNIX;
        return PathOffset + Encoding.UTF8.GetBytes(path, address[PathOffset..^1]) + 1;
    }

    private static int Descriptor(SafeFileHandle handle) => (int)handle.DangerousGetHandle();
}
