using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_user_report</c>, uapi/linux/xfrm.h: 60 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserReport
{
    public byte Proto;
    private byte _pad0;
    private ushort _pad1;
    public XfrmSelector Sel;
}
