using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct nlmsghdr</c>, uapi/linux/netlink.h: 16 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct NlMsgHdr
{
    /// <summary><c>NLMSG_HDRLEN</c>.</summary>
    public const int Size = 16;

    public uint Len;
    public ushort Type;
    public NlMsgFlags Flags;
    public uint Seq;
    public uint Pid;
}
