using System.Runtime.InteropServices;

namespace Xfrmd.Netlink.Abi;

/// <summary><c>struct xfrm_user_sec_ctx</c>, uapi/linux/xfrm.h: 8 bytes, then the context string.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmUserSecCtx
{
    public ushort Len;
    public ushort ExtType;
    public byte CtxAlg;
    public byte CtxDoi;
    public ushort CtxLen;
}
