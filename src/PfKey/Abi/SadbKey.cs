using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_key</c>, linux/pfkeyv2.h: 8 bytes, before the key, which is padded to 8.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbKey
{
    public ushort Len;
    public SadbExtType ExtType;
    public ushort Bits;
    public ushort Reserved;
}
