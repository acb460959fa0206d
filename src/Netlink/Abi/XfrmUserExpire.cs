using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_user_expire</c>, uapi/linux/xfrm.h: 232 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserExpire
{
    public XfrmUserSaInfo State;
    public byte Hard;
    private byte _pad0;
    private ushort _pad1;
    private uint _pad2;
}
