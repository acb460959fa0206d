using System.Runtime.InteropServices;

namespace Xfrmd.Kernel;

/// <summary><c>struct xfrm_lifetime_cur</c>: 32 bytes; times are wall-clock seconds.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmLifetimeCur
{
    public ulong Bytes;
    public ulong Packets;
    public ulong AddTime;
    public ulong UseTime;
}
