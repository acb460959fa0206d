using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_userpolicy_info</c>, uapi/linux/xfrm.h: 168 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserPolicyInfo
{
    public XfrmSelector Sel;
    public XfrmLifetimeCfg Lft;
    public XfrmLifetimeCur Curlft;
    public uint Priority;
    public uint Index;
    public byte Dir;
    public byte Action;
    public byte Flags;
    public byte Share;
    private uint _pad;
}
