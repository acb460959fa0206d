using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_algo</c>, uapi/linux/xfrm.h: 68 bytes, then the key.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmAlgo
{
    public XfrmAlgName Name;

    /// <summary>Bits.</summary>
    public uint KeyLen;
}
