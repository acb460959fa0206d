using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_userspi_info</c>, uapi/linux/xfrm.h: 232 bytes. The range is in host order.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserSpiInfo
{
    public XfrmUserSaInfo Info;
    public uint Min;
    public uint Max;
}
