using System.Runtime.InteropServices;

namespace Xfrmd.Linux;

/// <summary><c>struct ifinfomsg</c> (uapi/linux/rtnetlink.h).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LinkHeader
{
    public byte Family;
    public byte Pad;
    public ushort Type;
    public int Index;
    public uint Flags;
    public uint Change;
}
