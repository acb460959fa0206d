using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_usersa_id</c>, uapi/linux/xfrm.h: 24 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserSaId
{
    public XfrmAddress Daddr;
    public Be32 Spi;
    public ushort Family;
    public byte Proto;
    private byte _pad;
}
