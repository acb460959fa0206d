using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_user_kmaddress</c>, uapi/linux/xfrm.h: 40 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserKmAddress
{
    public XfrmAddress Local;
    public XfrmAddress Remote;
    public uint Reserved;
    public ushort Family;
    private ushort _pad;
}
