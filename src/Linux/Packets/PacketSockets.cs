using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Packets;

/// <summary>Opens the sockets through which protected packets come and go. They belong to the calling thread's network namespace; sending waits for room, receiving (<see cref="ReceiveBatch"/>) never waits.</summary>
public static class PacketSockets
{
    private const int IPPROTO_IP = 0, IPPROTO_IPV6 = 41, IPPROTO_UDP = 17, IPPROTO_RAW = 255;
    private const int IP_RECVTOS = 13, IP_RECVTTL = 12, IP_PKTINFO = 8, IP_HDRINCL = 3, IP_MTU_DISCOVER = 10, IP_TTL = 2;
    private const int IPV6_RECVPKTINFO = 49, IPV6_RECVTCLASS = 66, IPV6_RECVHOPLIMIT = 51, IPV6_V6ONLY = 26, IPV6_MTU_DISCOVER = 23,
        IPV6_HDRINCL = 36, IPV6_UNICAST_HOPS = 16, IPV6_AUTOFLOWLABEL = 70, IPV6_FLOWINFO = 11,
        IPV6_RECVHOPOPTS = 53, IPV6_RECVRTHDR = 56, IPV6_RECVDSTOPTS = 58;
    private const int SO_MARK = 36, SO_RCVMARK = 75, SO_RCVBUFFORCE = 33, SO_SNDBUFFORCE = 32, SO_RCVBUF = 8, SO_SNDBUF = 7, SO_REUSEPORT = 15, SO_ATTACH_FILTER = 26,
        SO_ATTACH_REUSEPORT_CBPF = 51;
    private const int SOL_SOCKET = 1, SOL_UDP = 17, UDP_GRO = 104;
    private const ushort AF_PACKET = 17;

    /// <summary>Receives all packets of an IP protocol that are addressed to this host: IPv4 with their header, IPv6 without.</summary>
    public static SafeFileHandle OpenRawReceiver(ushort family, byte protocol, uint mark, int receiveBuffer)
    {
        SafeFileHandle socket = Open(family, SOCK_RAW, protocol, mark, receiveBuffer, 0);
        RequestMarks(socket);
        if (family == SocketAddresses.AF_INET6)
        {
            RequestInfo(socket, family);
            // AH covers the extension headers, and transport mode keeps them.
            Require(socket, IPPROTO_IPV6, IPV6_RECVHOPOPTS, 1);
            Require(socket, IPPROTO_IPV6, IPV6_RECVRTHDR, 1);
            Require(socket, IPPROTO_IPV6, IPV6_RECVDSTOPTS, 1);
        }
        return socket;
    }

    /// <summary>Receives the ICMP errors that tell the MTU of a path (IPv4: with the IP header), and other reasons for unreachability.</summary>
    public static SafeFileHandle OpenTooBigReceiver(ushort family)
    {
        const int IPPROTO_ICMP = 1, IPPROTO_ICMPV6 = 58, SOL_RAW = 255, ICMP_FILTER = 1, SOL_ICMPV6 = 58, ICMPV6_FILTER = 1;
        const int Unreachable = 3, PacketTooBig = 2, Filter6Size = 32;
        bool v4 = family == SocketAddresses.AF_INET;
        SafeFileHandle socket = Open(family, SOCK_RAW, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, 0, 0, 0);
        // A set bit keeps a type away.
        Span<byte> filter = stackalloc byte[Filter6Size];
        filter.Fill(0xFF);
        int type = v4 ? Unreachable : PacketTooBig;
        filter[type / 8] &= (byte)~(1 << (type % 8));
        if (!SocketOptions.TrySet(socket, v4 ? SOL_RAW : SOL_ICMPV6, v4 ? ICMP_FILTER : ICMPV6_FILTER, v4 ? filter[..sizeof(uint)] : filter))
        {
            int errno = Libc.LastErrno;
            socket.Dispose();
            throw new LinuxException(errno, "setsockopt(ICMP_FILTER)");
        }
        return socket;
    }

    /// <summary>
    /// Sends whole packets, header and all (IP_HDRINCL), and receives none. What routing has learned of path MTUs does not hold them back
    /// (<see cref="PathMtuProbe"/>).
    /// </summary>
    public static SafeFileHandle OpenRawSender(ushort family, uint mark, int sendBuffer) => OpenSender(family, SOCK_RAW, mark, sendBuffer);

    /// <summary>The same for packets of this host's own, without a mark. It never waits: policy may take them to who sends them.</summary>
    public static SafeFileHandle OpenOwnSender(ushort family) => OpenSender(family, SOCK_RAW | SOCK_NONBLOCK, 0, 0);

    private static SafeFileHandle OpenSender(ushort family, int type, uint mark, int sendBuffer)
    {
        SafeFileHandle socket = Open(family, type, IPPROTO_RAW, mark, 0, sendBuffer);
        Require(socket, family == SocketAddresses.AF_INET ? IPPROTO_IP : IPPROTO_IPV6, family == SocketAddresses.AF_INET ? IP_HDRINCL : IPV6_HDRINCL, 1);
        SetPathMtuDiscovery(socket, family, PathMtuProbe);
        return socket;
    }

    /// <summary>
    /// Sends whole packets to a station on a link (<see cref="LinkAddress"/>), through the link's queueing discipline but past routing,
    /// neighbours and netfilter; receives none.
    /// </summary>
    public static SafeFileHandle OpenLinkSender(uint mark, int sendBuffer) => Open(AF_PACKET, SOCK_DGRAM, 0, mark, 0, sendBuffer);

    /// <summary>
    /// A UDP socket that shares the port of another one and takes from it all ESP (RFC 3948): datagrams of more than eight bytes that do not
    /// begin with four zeros, as <c>__xfrm4_udp_encap_rcv</c>, and the keepalives of one byte. All else stays with the other socket. Null where
    /// the port cannot be shared.
    /// </summary>
    /// <param name="owner">A duplicate of the IKE daemon's socket, bound already.</param>
    /// <param name="mark">The mark of what it sends.</param>
    /// <param name="receiveBuffer">Bytes.</param>
    /// <param name="sendBuffer">Bytes.</param>
    public static SafeFileHandle? TryShareUdpPort(SafeFileHandle owner, uint mark, int receiveBuffer, int sendBuffer)
    {
        Span<byte> address = stackalloc byte[SocketAddresses.MaxSize];
        int length = LocalAddress(owner, address);
        if (!SocketAddresses.TryRead(address[..length], out _, out ushort port) || port == 0 || !SocketOptions.TrySetInt(owner, SOL_SOCKET, SO_REUSEPORT, 1))
        {
            return null;
        }
        ushort family = MemoryMarshal.Read<ushort>(address);
        SafeFileHandle socket = Open(family, SOCK_DGRAM, IPPROTO_UDP, mark, receiveBuffer, sendBuffer);
        try
        {
            Require(socket, SOL_SOCKET, SO_REUSEPORT, 1);
            if (family == SocketAddresses.AF_INET6)
            {
                Require(socket, IPPROTO_IPV6, IPV6_V6ONLY, SocketOptions.TryGetInt(owner, IPPROTO_IPV6, IPV6_V6ONLY) ?? 1);
            }
            RequestInfo(socket, family);
            RequestMarks(socket);
            SetHeaderDefaults(socket, family);
            _ = SocketOptions.TrySetInt(socket, SOL_UDP, UDP_GRO, 1);
            if (!TryBind(socket, address[..length]) || !TryAttach(socket, SO_ATTACH_REUSEPORT_CBPF, EspSelector()))
            {
                socket.Dispose();
                return null;
            }
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Sees the ESP-in-UDP datagrams of a port beside the socket that owns it: a raw UDP socket with a filter, for where the port cannot be
    /// shared. IPv4 messages begin with the IP header, IPv6 ones with the UDP header.
    /// </summary>
    public static SafeFileHandle OpenRawUdpReceiver(ushort family, ushort port, uint mark, int receiveBuffer)
    {
        SafeFileHandle socket = Open(family, SOCK_RAW, IPPROTO_UDP, mark, receiveBuffer, 0);
        RequestMarks(socket);
        if (family == SocketAddresses.AF_INET6)
        {
            RequestInfo(socket, family);
        }
        if (!TryAttach(socket, SO_ATTACH_FILTER, RawUdpFilter(family, port)))
        {
            int errno = Libc.LastErrno;
            socket.Dispose();
            throw new LinuxException(errno, "SO_ATTACH_FILTER");
        }
        return socket;
    }

    /// <summary>TTL and hop limit of what is sent by a socket of <see cref="TryShareUdpPort"/>, unless a message has its own.</summary>
    public const int DefaultHopLimit = 64;

    /// <summary>SO_MARK.</summary>
    public static bool TrySetMark(SafeFileHandle socket, uint mark) => SocketOptions.TrySetInt(socket, SOL_SOCKET, SO_MARK, (int)mark);

    /// <summary>What it is.</summary>
    public static uint Mark(SafeFileHandle socket) => (uint)(SocketOptions.TryGetInt(socket, SOL_SOCKET, SO_MARK) ?? 0);

    /// <summary>What is sent may be fragmented (IP_PMTUDISC_DONT).</summary>
    public const int PathMtuDont = 0;

    /// <summary>What is sent carries DF, and only the interface's MTU limits it (IP_PMTUDISC_PROBE): who sends knows the path better.</summary>
    public const int PathMtuProbe = 3;

    /// <summary>IP_MTU_DISCOVER, IPV6_MTU_DISCOVER.</summary>
    public static void SetPathMtuDiscovery(SafeFileHandle socket, ushort family, int mode) => Require(
        socket, family == SocketAddresses.AF_INET ? IPPROTO_IP : IPPROTO_IPV6, family == SocketAddresses.AF_INET ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, mode);

    /// <summary>getsockname: the raw <c>sockaddr</c>; its length.</summary>
    public static unsafe int LocalAddress(SafeFileHandle socket, Span<byte> address)
    {
        socklen_t length = (uint)address.Length;
        fixed (byte* bytes = address)
        {
            Libc.Check(getsockname((int)socket.DangerousGetHandle(), (sockaddr*)bytes, &length), "getsockname");
        }
        return Math.Min((int)(uint)length, address.Length);
    }

    /// <summary>The port that a socket of IPv4 or IPv6 is bound to; 0: none.</summary>
    public static ushort LocalPort(SafeFileHandle socket)
    {
        Span<byte> address = stackalloc byte[SocketAddresses.MaxSize];
        return SocketAddresses.TryRead(address[..LocalAddress(socket, address)], out _, out ushort port) ? port : (ushort)0;
    }

    /// <summary>What the group of sockets on one port asks about a datagram: 0, the first socket (the owner's); 1, ours.</summary>
    internal static SockFilter[] EspSelector()
    {
        // linux/bpf_common.h. The packet begins at the UDP payload (run_bpf_filter, net/core/sock_reuseport.c).
        const ushort LoadLength = 0x80, LoadWord = 0x20, LoadByte = 0x30, JumpEqual = 0x15, JumpGreaterOrEqual = 0x35, Return = 0x06;
        const uint Owner = 0, Ours = 1, EspHeader = 8;
        return
        [
            new(LoadLength, 0, 0, 0),
            new(JumpGreaterOrEqual, 0, 3, EspHeader + 1),
            new(LoadWord, 0, 0, 0),
            new(JumpEqual, 4, 0, 0),
            new(Return, 0, 0, Ours),
            new(JumpEqual, 0, 2, 1),
            new(LoadByte, 0, 0, 0),
            new(JumpEqual, 1, 0, 0xFF),
            new(Return, 0, 0, Owner),
            new(Return, 0, 0, Ours),
        ];
    }

    /// <summary>Accepts UDP to a port whose payload does not begin with the non-ESP marker.</summary>
    internal static SockFilter[] RawUdpFilter(ushort family, ushort port)
    {
        const ushort LoadHalfIndexed = 0x48, LoadWordIndexed = 0x40, LoadHeaderLength = 0xB1, LoadImmediateX = 0x01, JumpEqual = 0x15, Return = 0x06;
        const uint All = 0x40000, DportOffset = 2, PayloadOffset = 8;
        return
        [
            // X := where the UDP header is. A raw IPv6 socket sees the packet from there on.
            family == SocketAddresses.AF_INET ? new(LoadHeaderLength, 0, 0, 0) : new(LoadImmediateX, 0, 0, 0),
            new(LoadHalfIndexed, 0, 0, DportOffset),
            new(JumpEqual, 0, 3, port),
            new(LoadWordIndexed, 0, 0, PayloadOffset),
            new(JumpEqual, 1, 0, 0),
            new(Return, 0, 0, All),
            new(Return, 0, 0, 0),
        ];
    }

    /// <summary>A socket with a mark and buffers; 0: as the kernel makes it.</summary>
    internal static SafeFileHandle Open(ushort family, int type, int protocol, uint mark, int receiveBuffer, int sendBuffer)
    {
        int descriptor = socket(family, type | SOCK_CLOEXEC, protocol);
        SafeFileHandle handle = new(Libc.Check(descriptor, "socket"), ownsHandle: true);
        if (mark != 0)
        {
            Require(handle, SOL_SOCKET, SO_MARK, (int)mark);
        }
        SetBuffer(handle, SO_RCVBUFFORCE, SO_RCVBUF, receiveBuffer);
        SetBuffer(handle, SO_SNDBUFFORCE, SO_SNDBUF, sendBuffer);
        return handle;
    }

    private static void RequestInfo(SafeFileHandle socket, ushort family)
    {
        if (family == SocketAddresses.AF_INET)
        {
            Require(socket, IPPROTO_IP, IP_PKTINFO, 1);
            Require(socket, IPPROTO_IP, IP_RECVTOS, 1);
            Require(socket, IPPROTO_IP, IP_RECVTTL, 1);
            return;
        }
        Require(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        Require(socket, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        Require(socket, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
        Require(socket, IPPROTO_IPV6, IPV6_FLOWINFO, 1);
    }

    /// <summary>Each message brings its packet's mark, from Linux 5.19 on.</summary>
    private static void RequestMarks(SafeFileHandle socket) => _ = SocketOptions.TrySetInt(socket, SOL_SOCKET, SO_RCVMARK, 1);

    /// <summary>What a message says of its header is all that is in it: the default hop limit (ip_default_ttl is the host's own) and no flow label.</summary>
    private static void SetHeaderDefaults(SafeFileHandle socket, ushort family)
    {
        if (family == SocketAddresses.AF_INET)
        {
            Require(socket, IPPROTO_IP, IP_TTL, DefaultHopLimit);
            return;
        }
        Require(socket, IPPROTO_IPV6, IPV6_UNICAST_HOPS, DefaultHopLimit);
        Require(socket, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0);
    }

    private static void SetBuffer(SafeFileHandle socket, int force, int plain, int size)
    {
        if (size != 0 && !SocketOptions.TrySetInt(socket, SOL_SOCKET, force, size))
        {
            _ = SocketOptions.TrySetInt(socket, SOL_SOCKET, plain, size);   // up to the system's limit
        }
    }

    private static void Require(SafeFileHandle socket, int level, int name, int value)
    {
        if (!SocketOptions.TrySetInt(socket, level, name, value))
        {
            throw new LinuxException(Libc.LastErrno, $"setsockopt({level}, {name})");
        }
    }

    private static unsafe bool TryBind(SafeFileHandle socket, ReadOnlySpan<byte> address)
    {
        fixed (byte* bytes = address)
        {
            return bind((int)socket.DangerousGetHandle(), (sockaddr*)bytes, (uint)address.Length) == 0;
        }
    }

    private static unsafe bool TryAttach(SafeFileHandle socket, int option, SockFilter[] filter)
    {
        fixed (SockFilter* code = filter)
        {
            SockFprog program = new() { Length = (ushort)filter.Length, Filter = (nint)code };
            return setsockopt((int)socket.DangerousGetHandle(), SOL_SOCKET, option, &program, (uint)sizeof(SockFprog)) == 0;
        }
    }
}
