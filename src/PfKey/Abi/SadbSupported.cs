using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_supported</c>, linux/pfkeyv2.h: 8 bytes, before algorithms.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbSupported
{
    public ushort Len;
    public SadbExtType ExtType;
    private uint _reserved;
}
