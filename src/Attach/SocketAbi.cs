namespace Xfrmd.Attach;

/// <summary>Constants of the socket calls that we look at: linux/socket.h, asm-generic/socket.h, linux/in.h, linux/in6.h, linux/udp.h.</summary>
internal static class SocketAbi
{
    public const int AfInet = 2, AfInet6 = 10, AfKey = 15, AfNetlink = 16;
    public const int NetlinkRoute = 0, NetlinkXfrm = 6;
    public const int ProtocolUdp = 17;

    /// <summary>Types from <c>SOCK_MAX</c> on there are none of.</summary>
    public const int TypeMask = 0xf, TypeLimit = 11, CloseOnExec = 0x80000, NonBlock = 0x800;

    public const int SolIp = 0, SolSocket = 1, SolUdp = 17, SolIpv6 = 41, SolNetlink = 270;
    public const int SoType = 3, SoError = 4, SoSndBuf = 7, SoRcvBuf = 8, SoPassCred = 16, SoPeerCred = 17, SoPeerName = 28, SoSndBufForce = 32, SoRcvBufForce = 33, SoMark = 36, SoProtocol = 38, SoDomain = 39, SoPeekOff = 42, SoPeerGroups = 59, SoPeerPidFd = 77;
    public const int IpIpsecPolicy = 16, IpXfrmPolicy = 17, Ipv6IpsecPolicy = 34, Ipv6XfrmPolicy = 35, UdpEncap = 100, UdpGro = 104;

    /// <summary>ioctl(2) that a unix socket knows, and no netlink or PF_KEY socket.</summary>
    public const uint FionRead = 0x541b, SiocOutQ = 0x5411, SiocAtMark = 0x8905, SiocUnixFile = 0x89e0;

    /// <summary>ioctl(2) that is answered before the family is asked (<c>do_vfs_ioctl</c>, <c>sock_ioctl</c>): FIO*, SIOC*PGRP, SIOCGSTAMP*, SIOCGSKNS.</summary>
    public static readonly uint[] OfAnySocket = [0x5421, 0x5450, 0x5451, 0x5452, 0x5460, 0x8901, 0x8902, 0x8903, 0x8904, 0x8906, 0x8907, 0x894c];

    public const int DupFd = 0, DupFdCloseOnExec = 1030;

    public const int MsgOob = 1, MsgPeek = 2, MsgCTrunc = 8, MsgTrunc = 0x20, MsgDontWait = 0x40, MsgCmsgCloseOnExec = 0x40000000, MsgCmsgCompat = int.MinValue;

    public const int NetlinkPktInfo = 3, NetlinkListenAllNsid = 8, ScmCredentials = 2;

    /// <summary><c>UIO_MAXIOV</c>.</summary>
    public const int MaxVectors = 1024;

    /// <summary><c>sizeof(struct sockaddr_storage)</c>.</summary>
    public const int MaxAddress = 128;
}
