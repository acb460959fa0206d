using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrmu_spdhthresh</c>, uapi/linux/xfrm.h: 2 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmuSpdHThresh
{
    public byte LBits;
    public byte RBits;
}
