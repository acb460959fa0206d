using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_algo_auth</c> and <c>struct xfrm_algo_aead</c>, uapi/linux/xfrm.h: 72 bytes, then the key. The two have one layout.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmAlgoAuth
{
    public XfrmAlgName Name;

    /// <summary>Bits.</summary>
    public uint KeyLen;

    /// <summary><c>alg_trunc_len</c> or <c>alg_icv_len</c>: bits.</summary>
    public uint IcvLen;
}
