using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_user_offload</c>, uapi/linux/xfrm.h: 8 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserOffload
{
    public int Ifindex;
    public XfrmOffloadFlags Flags;
    private byte _pad0;
    private ushort _pad1;
}
