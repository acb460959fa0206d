using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_ext</c>, linux/pfkeyv2.h: 4 bytes, what every extension begins with.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbExt
{
    /// <summary>In units of 8 bytes.</summary>
    public ushort Len;
    public SadbExtType ExtType;
}
