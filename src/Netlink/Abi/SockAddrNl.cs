using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct sockaddr_nl</c>, uapi/linux/netlink.h: 12 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SockAddrNl
{
    /// <summary><c>AF_NETLINK</c>.</summary>
    public const ushort AfNetlink = 16;
    public const int Size = 12;

    public ushort Family;
    private ushort _pad;
    public uint Pid;
    public uint Groups;
}
