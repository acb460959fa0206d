using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_user_polexpire</c>, uapi/linux/xfrm.h: 176 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserPolExpire
{
    public XfrmUserPolicyInfo Pol;
    public byte Hard;
    private byte _pad0;
    private ushort _pad1;
    private uint _pad2;
}
