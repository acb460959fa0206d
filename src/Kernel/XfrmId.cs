using System.Runtime.InteropServices;

namespace Xfrmd.Kernel;

/// <summary><c>struct xfrm_id</c>, uapi/linux/xfrm.h: 24 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmId
{
    public XfrmAddress Daddr;
    public Be32 Spi;
    public byte Proto;
    private byte _pad0;
    private ushort _pad1;
}
