using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrmu_spdhinfo</c> and <c>struct xfrmu_sadhinfo</c>, uapi/linux/xfrm.h: 8 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmuHInfo
{
    public uint HCnt;
    public uint HMaxCnt;
}
