using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

// socket, dup, bind, connect, getsockname, getpeername.
internal sealed partial class Session
{
    private Network? _network;

    private Answer MakeSocket(in SeccompNotification call)
    {
        int domain = Int(call, 0), type = Int(call, 1), protocol = Int(call, 2);
        if (domain == SocketAbi.AfNetlink && protocol == SocketAbi.NetlinkRoute)
        {
            return MakeRouteSocket(call, type);
        }
        if (_context.Families.Find(domain, protocol) is not { } family)
        {
            return Answer.Continue;
        }
        if ((type & ~(SocketAbi.TypeMask | SocketAbi.CloseOnExec | SocketAbi.NonBlock)) != 0 || (type & SocketAbi.TypeMask) >= SocketAbi.TypeLimit)
        {
            return Errno.EINVAL;   // __sys_socket_create, __sock_create
        }
        if (FindNetwork(call) is not { } network)
        {
            return Errno.ENOMEM;
        }
        (XfrmNamespace space, UserNamespaces owners) = (network.Space, network.Owners);
        Caller caller = CallerOf(call.ThreadId, owners);
        var (program, ours, inode) = CreatePair(call.ThreadId, network.Inode, named: domain == SocketAbi.AfNetlink, (type & SocketAbi.NonBlock) != 0);
        using (program)
        {
            UnixReceiveBuffer buffer = new(ours, _context.Truesizes, _context.ReceiveBufferDefault, countsNew: domain == SocketAbi.AfNetlink);
            Errno errno = family.Create(type & SocketAbi.TypeMask, protocol, space, buffer, caller, out IProtocolSocket? handler);
            if (errno != Errno.None || handler is null)
            {
                ours.Dispose();
                return errno == Errno.None ? Errno.ENOMEM : errno;
            }
            EmulatedSocket socket = new()
            {
                Inode = inode,
                Domain = domain,
                Type = type & SocketAbi.TypeMask,
                Protocol = protocol,
                Ours = ours,
                Buffer = buffer,
                Space = space,
                Owners = owners,
                Opener = caller,
                Handler = handler,
                SendBuffer = _unseen ? SocketOptions.SendBufferSize(program) : 0,
            };
            _context.Sockets.Add(socket);
            _context.Log.SocketMade(socket.Inode, domain, socket.Type, protocol, caller.Tgid, space.Inode);

            // Where this fails our copy of the program's end is the only one: closing it lets the table release the socket.
            return Inject(call, program, _range.Low, (type & SocketAbi.CloseOnExec) != 0);
        }
    }

    /// <summary>
    /// The namespace that the thread is in. Mostly it is that of the socket before, which is known by its number: the state that belongs to the
    /// number holds the namespace, so no other can have it.
    /// </summary>
    private Network? FindNetwork(in SeccompNotification call)
    {
        uint thread = call.ThreadId;
        ulong inode = ThreadOf(thread)?.ReadNetworkNamespace() ?? 0;
        inode = inode != 0 ? inode : LivingThread(thread)?.ReadNetworkNamespace() ?? 0;
        _alive = inode != 0 ? call.Id : 0;
        if (_network is { } last && last.Inode == inode && _context.Namespaces.TryReopen(last.Space))
        {
            return last;
        }
        using SafeFileHandle? handle = OpenNamespace(thread);
        if (handle is null)
        {
            return null;
        }
        XfrmNamespace space = _context.Namespaces.Find(handle);
        Note(space);
        return _network = new Network(space.Inode, space, UserNamespaces.Of(handle));
    }

    /// <summary>The pair belongs to the program's namespace: interface ioctls on a netlink socket act there.</summary>
    private PairPool.Pair CreatePair(uint thread, ulong inode, bool named, bool nonBlocking)
    {
        if (inode == _context.HomeNamespaceInode)
        {
            return named && !nonBlocking && _context.Pairs.TryTake(out PairPool.Pair spare) ? spare : PairPool.Make(named, nonBlocking);
        }
        PairPool.Pair? pair = null;
        using SafeFileHandle? network = OpenNamespace(thread);
        _ = network is not null && TryRunIn(network, () => pair = PairPool.Make(named, nonBlocking));
        return pair ?? PairPool.Make(named, nonBlocking);
    }

    /// <summary>Does it in the namespace; false, with nothing done, where we may not enter it.</summary>
    private bool TryRunIn(SafeFileHandle network, Action work)
    {
        ulong inode = ProcFile.ReadInode($"/proc/self/fd/{network.DangerousGetHandle()}", "net"u8, out _);
        if (inode != _context.HomeNamespaceInode)
        {
            return NetworkNamespace.TryRun(network, _context.HomeNamespace, work);
        }
        work();
        return true;
    }

    /// <summary>Gives the program a copy of a file at the first free reserved number from <paramref name="lowest"/> on, and answers with it.</summary>
    private Answer Inject(in SeccompNotification call, SafeFileHandle file, int lowest, bool closeOnExec)
    {
        ThreadView? view = _alive == call.Id ? ThreadOf(call.ThreadId) : LivingThread(call.ThreadId);
        if (view is null)
        {
            return Errno.ENOMEM;
        }
        for (int number = Math.Max(lowest, _range.Low); number < _range.High; number++)
        {
            _ = view.SocketInode(number, out bool taken);
            if (taken)
            {
                continue;
            }
            return _listener.AnswerWithDescriptor(call.Id, file, number, closeOnExec) switch
            {
                0 or (int)Errno.ENOENT => Answer.Sent,   // ENOENT: killed meanwhile
                (int)Errno.EBADF => Errno.EMFILE,        // above RLIMIT_NOFILE
                int errno => Answer.Error(errno),
            };
        }
        return Errno.EMFILE;
    }

    /// <summary>dup(2) and F_DUPFD of an emulated socket: the new number must be a reserved one too.</summary>
    private Answer Duplicate(in SeccompNotification call, int lowest, bool closeOnExec)
    {
        if (Ours(call) is null || !ProcStatus.TryRead((int)call.ThreadId, out ProcStatus status))
        {
            return Answer.Continue;
        }
        using SafeFileHandle? file = PidFd.TryDuplicate((int)call.ThreadId, status.Tgid, Int(call, 0), out _);
        return file is null ? Answer.Continue : Inject(call, file, lowest, closeOnExec);
    }

    private Answer Bind(in SeccompNotification call)
    {
        int length = Int(call, 2);
        if (Ours(call, reads: 1) is { } socket)
        {
            Span<byte> name = stackalloc byte[SocketAbi.MaxAddress];
            Errno errno = ReadAddress(call, Pointer(call, 1), length, ref name);
            if (errno != Errno.None)
            {
                return errno;
            }
            byte[] address = name.ToArray();
            Caller caller = CallerLater(call.ThreadId, socket.Owners);
            return Finish(socket, socket.Call(s => s.Bind(address, caller), Errno.EBADF));
        }
        Span<byte> bytes = stackalloc byte[28];   // sizeof(struct sockaddr_in6)
        if (length >= 16 && TryRead(call, Pointer(call, 1), bytes[..Math.Min(length, bytes.Length)])
            && BitConverter.ToUInt16(bytes) is SocketAbi.AfInet or SocketAbi.AfInet6)
        {
            AnnounceBind(call, bytes[..Math.Min(length, bytes.Length)]);
        }
        return Answer.Continue;
    }

    /// <summary>Tells the datapath, which may hold the port, that an ordinary UDP socket is about to be bound.</summary>
    private void AnnounceBind(in SeccompNotification call, ReadOnlySpan<byte> address)
    {
        using OrdinarySocket? socket = OrdinarySocket.TryOpen(call.ThreadId, Int(call, 0), _context.Namespaces);
        if (socket is null || (socket.File is not null && socket.Protocol != SocketAbi.ProtocolUdp))
        {
            return;
        }
        Note(socket.Space);
        _context.Hooks.BeforeBind(socket.Space, socket.Inode, address);
    }

    private Answer Connect(in SeccompNotification call)
    {
        if (Ours(call, reads: 1) is not { } socket)
        {
            return Answer.Continue;
        }
        Span<byte> name = stackalloc byte[SocketAbi.MaxAddress];
        Errno errno = ReadAddress(call, Pointer(call, 1), Int(call, 2), ref name);
        if (errno != Errno.None)
        {
            return errno;
        }
        byte[] address = name.ToArray();
        Caller caller = CallerLater(call.ThreadId, socket.Owners);
        return Finish(socket, socket.Call(s => s.Connect(address, caller), Errno.EBADF));
    }

    private Answer GetName(in SeccompNotification call, bool peer)
    {
        if (OursAtAnyNumber(call, reads: 2) is not { } socket)
        {
            return Answer.Continue;
        }
        byte[] name = new byte[SocketAbi.MaxAddress];
        int length = 0;
        Errno errno = socket.Call(s => peer ? s.GetPeerName(name, out length) : s.GetSocketName(name, out length), Errno.EBADF);
        return errno == Errno.None ? WriteCounted(call, Pointer(call, 1), Pointer(call, 2), name.AsSpan(0, length), length) : errno;
    }

    /// <summary>As <c>move_addr_to_kernel</c>.</summary>
    private Errno ReadAddress(in SeccompNotification call, ulong pointer, int length, ref Span<byte> address, bool verify = true)
    {
        if (length < 0 || length > address.Length)
        {
            return Errno.EINVAL;
        }
        address = address[..length];
        return !TryRead(call, pointer, address) || (verify && !StillWaits(call)) ? Errno.EFAULT : Errno.None;
    }

    /// <summary>As <c>move_addr_to_user</c>: as much as fits, and the full length.</summary>
    private Answer WriteCounted(in SeccompNotification call, ulong pointer, ulong lengthPointer, ReadOnlySpan<byte> bytes, int fullLength)
    {
        if (!TryRead(call, lengthPointer, out int room) || !StillWaits(call))
        {
            return Errno.EFAULT;
        }
        if (room < 0)
        {
            return Errno.EINVAL;
        }
        bool written = TryWrite(call, pointer, bytes[..Math.Min(room, bytes.Length)], lengthPointer, fullLength);
        return written ? Errno.None : Errno.EFAULT;
    }

    /// <summary>After a call into the protocol.</summary>
    private Errno Finish(EmulatedSocket socket, Errno errno)
    {
        _context.Sockets.Refresh(socket);
        return errno;
    }

    private sealed record Network(ulong Inode, XfrmNamespace Space, UserNamespaces Owners);
}
