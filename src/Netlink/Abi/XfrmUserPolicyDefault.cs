using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_userpolicy_default</c>, uapi/linux/xfrm.h: 3 bytes. 1 is block, 2 accept; a request leaves a direction alone with anything else.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserPolicyDefault
{
    public const byte Block = 1, Accept = 2;

    public byte In;
    public byte Fwd;
    public byte Out;
}
