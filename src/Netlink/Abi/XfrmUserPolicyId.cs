using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_userpolicy_id</c>, uapi/linux/xfrm.h: 64 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserPolicyId
{
    public XfrmSelector Sel;
    public uint Index;
    public byte Dir;
    private byte _pad0;
    private ushort _pad1;
}
