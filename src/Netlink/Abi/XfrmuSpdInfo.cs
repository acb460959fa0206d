using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrmu_spdinfo</c>, uapi/linux/xfrm.h: 24 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmuSpdInfo
{
    public uint InCnt;
    public uint OutCnt;
    public uint FwdCnt;
    public uint InsCnt;
    public uint OutsCnt;
    public uint FwdsCnt;
}
