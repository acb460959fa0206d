using System.Runtime.InteropServices;

namespace Xfrmd.Linux;

/// <summary><c>struct rtgenmsg</c> (uapi/linux/rtnetlink.h), with the padding before the attributes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 4)]
internal struct GeneralHeader
{
    public byte Family;
}
