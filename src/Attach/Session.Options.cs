using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

// setsockopt and getsockopt: of emulated sockets, and those options of ordinary sockets that are about IPsec.
internal sealed partial class Session
{
    private const int MaxOption = 4096;

    /// <summary>Ordinary UDP sockets on which this program tree has set UDP_ENCAP.</summary>
    private readonly HashSet<ulong> _encapsulated = [];

    private Answer SetOption(in SeccompNotification call)
    {
        int level = Int(call, 1), name = Int(call, 2);
        if (level == SocketAbi.SolSocket && name == SocketAbi.SoMark)
        {
            return SetMark(call);
        }
        if (Ours(call, reads: 3) is { } socket)
        {
            return (level, name) switch
            {
                (SocketAbi.SolSocket, SocketAbi.SoPassCred) => SetTellsSenders(call, socket),
                (SocketAbi.SolSocket, SocketAbi.SoPeekOff) => RefusePeekOffset(call),
                (SocketAbi.SolSocket, _) => SetQueueSize(call, socket, name),
                _ => SetProtocolOption(call, socket, level, name),
            };
        }
        return level switch
        {
            SocketAbi.SolUdp when name is SocketAbi.UdpEncap or SocketAbi.UdpGro => SetUdpOption(call, name),
            SocketAbi.SolIp when name is SocketAbi.IpIpsecPolicy or SocketAbi.IpXfrmPolicy => SetPolicy(call, level, name),
            SocketAbi.SolIpv6 when name is SocketAbi.Ipv6IpsecPolicy or SocketAbi.Ipv6XfrmPolicy => SetPolicy(call, level, name),
            _ => Answer.Continue,
        };
    }

    /// <summary>ioctl(2): a netlink socket leaves it to the network devices (<c>sock_do_ioctl</c>), PF_KEY knows none (<c>sock_no_ioctl</c>).</summary>
    private Answer Control(in SeccompNotification call)
    {
        uint request = (uint)Pointer(call, 1);
        if (Array.IndexOf(SocketAbi.OfAnySocket, request) >= 0 || Ours(call) is not { } socket)
        {
            return Answer.Continue;
        }
        if (socket.Domain == SocketAbi.AfKey)
        {
            return Errno.EOPNOTSUPP;
        }
        return request is SocketAbi.FionRead or SocketAbi.SiocOutQ or SocketAbi.SiocAtMark or SocketAbi.SiocUnixFile ? Errno.ENOTTY : Answer.Continue;
    }

    private Answer SetProtocolOption(in SeccompNotification call, EmulatedSocket socket, int level, int name)
    {
        int length = Int(call, 4);
        if (length < 0)
        {
            return Errno.EINVAL;
        }
        // All that there are have an int; what is shorter is not looked at.
        byte[] value = length < sizeof(int) ? [] : new byte[sizeof(int)];
        if (level == SocketAbi.SolNetlink && !(TryRead(call, Pointer(call, 3), value) && StillWaits(call)))
        {
            return Errno.EFAULT;
        }
        Caller caller = CallerLater(call.ThreadId, socket.Owners);
        return Finish(socket, socket.Call(s => s.SetOption(level, name, value, caller), Errno.EBADF));
    }

    /// <summary><c>sk_setsockopt</c> of a family without <c>set_peek_off</c>, once it has the value.</summary>
    private Answer RefusePeekOffset(in SeccompNotification call) =>
        Int(call, 4) < sizeof(int) || !TryRead(call, Pointer(call, 3), out int _) || !StillWaits(call) ? Answer.Continue : Errno.EOPNOTSUPP;

    private Answer SetTellsSenders(in SeccompNotification call, EmulatedSocket socket)
    {
        if (Int(call, 4) < sizeof(int) || !TryRead(call, Pointer(call, 3), out int value) || !StillWaits(call))
        {
            return Answer.Continue;
        }
        socket.TellsSenders = value != 0;
        // PF_KEY tells nobody's: the program's end, which would, does not hear of it.
        return socket.Domain == SocketAbi.AfKey ? Errno.None : Answer.Continue;
    }

    /// <summary>SO_RCVBUF and SO_SNDBUF: the kernel sets them on the program's end; what bounds the receive queue is ours.</summary>
    private Answer SetQueueSize(in SeccompNotification call, EmulatedSocket socket, int name)
    {
        if (Int(call, 4) < sizeof(int) || !TryRead(call, Pointer(call, 3), out int value) || !StillWaits(call))
        {
            return Answer.Continue;
        }
        bool force = name is SocketAbi.SoRcvBufForce or SocketAbi.SoSndBufForce;
        if (force && !CallerOf(call.ThreadId, socket.Owners).NetAdmin)
        {
            return Answer.Continue;   // to the kernel's own EPERM
        }
        if (name is SocketAbi.SoSndBuf or SocketAbi.SoSndBufForce)
        {
            socket.SetSendBuffer(force ? value : (int)Math.Min((uint)value, (uint)_context.SendBufferLimit.Value));
        }
        else
        {
            socket.Buffer.SetLimit(force ? Math.Max(value, 0) : (int)Math.Min((uint)value, (uint)_context.ReceiveBufferLimit.Value));
        }
        return Answer.Continue;
    }

    /// <summary>SO_MARK of a socket that has a policy of its own, and so our bits. Any other is the kernel's.</summary>
    private Answer SetMark(in SeccompNotification call)
    {
        using OrdinarySocket? socket = OrdinarySocket.TryOpen(call.ThreadId, Int(call, 0), _context.Namespaces);
        if (socket?.File is not { } file || (PacketSockets.Mark(file) & _context.Hooks.OwnedMark) == 0 || Int(call, 4) < sizeof(int)
            || !TryRead(call, Pointer(call, 3), out int value) || !StillWaits(call)
            || !(socket.Allows((int)call.ThreadId, UserNamespaces.NetAdmin) || socket.Allows((int)call.ThreadId, UserNamespaces.NetRaw)))
        {
            return Answer.Continue;
        }
        return _context.Hooks.SetSocketMark(socket.Space, socket.TakeFile()!, socket.Inode, (uint)value);
    }

    private Answer GetMark(in SeccompNotification call)
    {
        using OrdinarySocket? socket = OrdinarySocket.TryOpen(call.ThreadId, Int(call, 0), _context.Namespaces);
        if (socket?.File is not { } file || PacketSockets.Mark(file) is var mark && (mark & _context.Hooks.OwnedMark) == 0
            || !TryRead(call, Pointer(call, 4), out int room) || !StillWaits(call) || room < 0)
        {
            return Answer.Continue;
        }
        byte[] value = BitConverter.GetBytes(mark & ~_context.Hooks.OwnedMark);
        int written = Math.Min(room, value.Length);
        return TryWrite(call, Pointer(call, 3), value.AsSpan(0, written)) && TryWrite(call, Pointer(call, 4), written) ? Errno.None : Errno.EFAULT;
    }

    private Answer GetOption(in SeccompNotification call)
    {
        if (Int(call, 1) == SocketAbi.SolSocket && Int(call, 2) == SocketAbi.SoMark)
        {
            return GetMark(call);
        }
        if (Ours(call, reads: 4) is not { } socket)
        {
            return Answer.Continue;
        }
        int level = Int(call, 1), name = Int(call, 2);
        if (level != SocketAbi.SolSocket && !(level == SocketAbi.SolNetlink && socket.Domain == SocketAbi.AfNetlink))
        {
            return socket.Call(s => s.GetOption(level, name, [], out _), Errno.EBADF);   // refused before anything is looked at
        }
        if (!TryRead(call, Pointer(call, 4), out int room) || !StillWaits(call))
        {
            return Errno.EFAULT;
        }
        if (room < 0)
        {
            return Errno.EINVAL;
        }
        byte[] value = new byte[Math.Min(room, MaxOption)];
        int written = 0;
        Errno errno = level == SocketAbi.SolSocket
            ? GetSocketOption(socket, name, value, out written)
            : socket.Call(s => s.GetOption(level, name, value, out written), Errno.EBADF);
        if (errno != Errno.None)
        {
            return errno;
        }
        // What does not fit is not given in part (LIST_MEMBERSHIPS), but its length is.
        bool done = TryWrite(call, Pointer(call, 3), value.AsSpan(0, written <= value.Length ? written : 0))
            && TryWrite(call, Pointer(call, 4), written);
        return done ? Errno.None : Errno.EFAULT;
    }

    /// <summary>SO_PEERNAME: no more than there is, and all that is asked for.</summary>
    private static Errno GetPeerName(EmulatedSocket socket, Span<byte> value, out int written)
    {
        byte[] address = new byte[SocketAbi.MaxAddress];
        int length = 0;
        written = 0;
        if (socket.Call(s => s.GetPeerName(address, out length), Errno.EBADF) != Errno.None)
        {
            return Errno.ENOTCONN;
        }
        if (value.Length > length)
        {
            return Errno.EINVAL;
        }
        written = value.Length;
        address.AsSpan(0, written).CopyTo(value);
        return Errno.None;
    }

    /// <summary><c>sk_getsockopt</c>, where a unix socket has something else to say.</summary>
    private static Errno GetSocketOption(EmulatedSocket socket, int name, Span<byte> value, out int written)
    {
        written = 0;
        if (name == SocketAbi.SoPeerName)
        {
            return GetPeerName(socket, value, out written);
        }
        if (name is SocketAbi.SoPeerGroups or SocketAbi.SoPeerPidFd or SocketAbi.SoPeekOff)
        {
            return name == SocketAbi.SoPeekOff ? Errno.EOPNOTSUPP : Errno.ENODATA;
        }
        Span<int> told = [0, -1, -1];   // SO_PEERCRED of nobody (cred_to_ucred)
        if (name != SocketAbi.SoPeerCred)
        {
            told = told[..1];
            told[0] = name switch
            {
                SocketAbi.SoType => socket.Type,
                SocketAbi.SoDomain => socket.Domain,
                SocketAbi.SoPassCred => socket.TellsSenders ? 1 : 0,
                SocketAbi.SoError => (int)socket.Call(static s => s.TakePendingError(), Errno.None),
                // pfkey_create leaves sk_protocol as it was.
                _ => socket.Domain == SocketAbi.AfKey ? 0 : socket.Protocol,
            };
        }
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(told);
        written = Math.Min(bytes.Length, value.Length);
        bytes[..written].CopyTo(value);
        return Errno.None;
    }

    /// <summary>
    /// UDP_ENCAP, and UDP_GRO on a socket that has it: never for the kernel beneath, which without ESP would eat the packets
    /// (<c>udp_lib_setsockopt</c>).
    /// </summary>
    private Answer SetUdpOption(in SeccompNotification call, int name)
    {
        using OrdinarySocket? socket = OrdinarySocket.TryOpen(call.ThreadId, Int(call, 0), _context.Namespaces);
        if (socket is null || !IsUdp(socket) || (name == SocketAbi.UdpGro && !_encapsulated.Contains(socket.Inode)))
        {
            return Answer.Continue;   // the kernel's own answer: nothing of ours is at stake
        }
        if (Int(call, 4) < sizeof(int))
        {
            return Errno.EINVAL;
        }
        if (!TryRead(call, Pointer(call, 3), out int value) || !StillWaits(call))
        {
            return Errno.EFAULT;
        }
        Note(socket.Space);
        Errno errno = _context.Hooks.SetUdpEncap(socket.Space, socket.TakeFile(), socket.Inode, name, value);
        if (errno == Errno.None && name == SocketAbi.UdpEncap)
        {
            _ = value != 0 ? _encapsulated.Add(socket.Inode) : _encapsulated.Remove(socket.Inode);
        }
        return errno;
    }

    /// <summary>Unknown counts as UDP: a container may forbid us to look, and who sets UDP_ENCAP means it.</summary>
    private static bool IsUdp(OrdinarySocket socket) =>
        socket.File is null || (socket.Protocol == SocketAbi.ProtocolUdp && socket.Domain is SocketAbi.AfInet or SocketAbi.AfInet6);

    /// <summary>IP_XFRM_POLICY and its kin: <c>do_ip_setsockopt</c>, <c>do_ipv6_setsockopt</c>, then <c>xfrm_user_policy</c>.</summary>
    private Answer SetPolicy(in SeccompNotification call, int level, int name)
    {
        const int PageSize = 4096;
        using OrdinarySocket? socket = OrdinarySocket.TryOpen(call.ThreadId, Int(call, 0), _context.Namespaces);
        if (socket is null || (socket.File is not null && !HasPolicies(socket.Domain, level)))
        {
            return Answer.Continue;
        }
        if (!socket.Allows((int)call.ThreadId, UserNamespaces.NetAdmin))
        {
            return Errno.EPERM;
        }
        int length = Int(call, 4);
        bool clear = Pointer(call, 3) == 0 && length == 0;
        if (!clear && length is <= 0 or > PageSize)
        {
            return Errno.EMSGSIZE;
        }
        byte[] value = new byte[length];
        if (!clear && (!TryRead(call, Pointer(call, 3), value) || !StillWaits(call)))
        {
            return Errno.EFAULT;
        }
        Note(socket.Space);
        return _context.Hooks.SetSocketPolicy(socket.Space, socket.TakeFile(), socket.Inode, level, name, value);
    }

    private static bool HasPolicies(int domain, int level) =>
        domain == SocketAbi.AfInet6 || (domain == SocketAbi.AfInet && level == SocketAbi.SolIp);
}
