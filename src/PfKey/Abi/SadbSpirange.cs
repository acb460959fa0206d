using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_spirange</c>, linux/pfkeyv2.h: 16 bytes. Its numbers are host order.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbSpirange
{
    public ushort Len;
    public SadbExtType ExtType;
    public uint Min;
    public uint Max;
    private uint _reserved;
}
