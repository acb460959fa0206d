using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_address_filter</c>, uapi/linux/xfrm.h: 36 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmAddressFilter
{
    public XfrmAddress Saddr;
    public XfrmAddress Daddr;
    public ushort Family;
    public byte Splen;
    public byte Dplen;
}
