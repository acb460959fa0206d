using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_alg</c>, linux/pfkeyv2.h: 8 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbAlg
{
    public byte Id;
    public byte Ivlen;
    public ushort Minbits;
    public ushort Maxbits;
    private ushort _reserved;
}
