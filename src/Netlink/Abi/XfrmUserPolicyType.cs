using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_userpolicy_type</c>, uapi/linux/xfrm.h: 6 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserPolicyType
{
    public byte Type;
    private byte _pad0;
    public ushort Reserved1;
    public byte Reserved2;
    private byte _pad1;
}
