using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_user_mapping</c>, uapi/linux/xfrm.h: 64 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserMapping
{
    public XfrmUserSaId Id;
    public uint Reqid;
    public XfrmAddress OldSaddr;
    public XfrmAddress NewSaddr;
    public Be16 OldSport;
    public Be16 NewSport;
}
