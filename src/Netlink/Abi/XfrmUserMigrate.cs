using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_user_migrate</c>, uapi/linux/xfrm.h: 76 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserMigrate
{
    public XfrmAddress OldDaddr;
    public XfrmAddress OldSaddr;
    public XfrmAddress NewDaddr;
    public XfrmAddress NewSaddr;
    public byte Proto;
    public byte Mode;
    public ushort Reserved;
    public uint Reqid;
    public ushort OldFamily;
    public ushort NewFamily;
}
