using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_user_acquire</c>, uapi/linux/xfrm.h: 280 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserAcquire
{
    public XfrmId Id;
    public XfrmAddress Saddr;
    public XfrmSelector Sel;
    public XfrmUserPolicyInfo Policy;
    public uint Aalgos;
    public uint Ealgos;
    public uint Calgos;
    public uint Seq;
}
