using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Sockets;
using Xfrmd.Netlink;
using Xfrmd.PfKey;

namespace Xfrmd.Cli.Serve;

/// <summary>Joins what programs do to their ordinary sockets to the databases and the datapath.</summary>
internal sealed class SocketHooks(Namespaces namespaces, PfKeyFamily pfKey) : ISocketHooks
{
    private const int SolIpv6 = 41, PageSize = 4096, UdpEncap = 100, UdpEncapEspInUdp = 2;

    /// <summary><c>xfrm_user_policy</c>: the first key manager that can read the value makes the policy.</summary>
    public Errno SetSocketPolicy(XfrmNamespace space, SafeFileHandle? socket, ulong socketInode, int level, int name, ReadOnlySpan<byte> value)
    {
        using SafeFileHandle? owned = socket;
        ushort family = socket is not null && SocketOptions.Domain(socket) is { } domain ? (ushort)domain : level == SolIpv6 ? AddressFamily.Inet6 : AddressFamily.Inet;
        lock (space.Gate)
        {
            if (value.IsEmpty)
            {
                return Set(space, owned, socketInode, null, null);
            }
            if (value.Length > PageSize)
            {
                return Errno.EMSGSIZE;
            }
            // Of several refusals the last one counts.
            Errno errno = NetlinkXfrmFamily.CompileSocketPolicy(family, name, value, out Policy? policy);
            if (errno != Errno.None)
            {
                errno = pfKey.CompileSocketPolicy(space, family, name, value, out policy);
            }
            if (errno != Errno.None)
            {
                return errno;
            }
            (Policy? inbound, Policy? outbound) = space.Spd.SocketPolicies(socketInode);
            return policy!.Direction == PolicyDirection.In ? Set(space, owned, socketInode, policy, outbound) : Set(space, owned, socketInode, inbound, policy);
        }
    }

    public uint OwnedMark => namespaces.OwnedMark;

    public Errno SetSocketMark(XfrmNamespace space, SafeFileHandle socket, ulong socketInode, uint mark)
    {
        using SafeFileHandle owned = socket;
        lock (space.Gate)
        {
            return namespaces.ServicesOf(space).SetSocketMark(owned, socketInode, mark);
        }
    }

    public Errno SetUdpEncap(XfrmNamespace space, SafeFileHandle? socket, ulong socketInode, int name, int value)
    {
        if (name != UdpEncap)
        {
            socket?.Dispose();   // UDP_GRO: the program's socket gets no ESP any more that could be joined
            return Errno.None;
        }
        if (value is not (0 or UdpEncapEspInUdp))
        {
            socket?.Dispose();
            return Errno.ENOPROTOOPT;   // udp_lib_setsockopt
        }
        lock (space.Gate)
        {
            namespaces.ServicesOf(space).SetUdpEncap(socket, socketInode, value != 0);
        }
        return Errno.None;
    }

    public void BeforeBind(XfrmNamespace space, ulong socketInode, ReadOnlySpan<byte> address)
    {
        // struct sockaddr_in and sockaddr_in6 begin alike.
        ushort family = MemoryMarshal.Read<ushort>(address), port = BinaryPrimitives.ReadUInt16BigEndian(address[sizeof(ushort)..]);
        lock (space.Gate)
        {
            namespaces.ServicesOf(space).BeforeBind(new BoundUdpSocket(socketInode, family, port));
        }
    }

    public Errno CreateLink(XfrmNamespace space, string name, uint ifId, out int ifindex)
    {
        lock (space.Gate)
        {
            return namespaces.ServicesOf(space).CreateLink(name, ifId, out ifindex);
        }
    }

    public bool DeleteLink(XfrmNamespace space, int ifindex, string name)
    {
        lock (space.Gate)
        {
            return namespaces.ServicesOf(space).DeleteLink(ifindex, name);
        }
    }

    public void SessionEnded(XfrmNamespace space, int tgid)
    {
        lock (space.Gate)
        {
            // It may have been the last one there, and its services gone before it.
            namespaces.FindServices(space.Inode)?.ForgetClosedSockets();
        }
    }

    /// <summary>Both policies of a socket at once: the datapath first, which may have no room for them.</summary>
    private Errno Set(XfrmNamespace space, SafeFileHandle? socket, ulong socketInode, Policy? inbound, Policy? outbound)
    {
        Errno errno = socket is null ? Errno.None : namespaces.ServicesOf(space).CoverSocket(socket, socketInode, inbound, outbound);
        if (errno != Errno.None)
        {
            return errno;
        }
        (Policy? oldInbound, Policy? oldOutbound) = space.Spd.SocketPolicies(socketInode);
        if (inbound != oldInbound)
        {
            space.Spd.SetSocketPolicy(socketInode, PolicyDirection.In, inbound);
        }
        if (outbound != oldOutbound)
        {
            space.Spd.SetSocketPolicy(socketInode, PolicyDirection.Out, outbound);
        }
        return Errno.None;
    }
}
