using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_usersa_flush</c>, uapi/linux/xfrm.h: 1 byte.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserSaFlush
{
    public byte Proto;
}
