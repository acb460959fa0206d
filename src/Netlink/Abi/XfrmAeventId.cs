using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_aevent_id</c>, uapi/linux/xfrm.h: 48 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmAeventId
{
    public XfrmUserSaId SaId;
    public XfrmAddress Saddr;
    public XfrmAeFlags Flags;
    public uint Reqid;
}
