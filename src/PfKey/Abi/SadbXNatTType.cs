using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_x_nat_t_type</c>, linux/pfkeyv2.h: 8 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbXNatTType
{
    public ushort Len;
    public SadbExtType ExtType;
    public byte Type;
    private byte _reserved0;
    private ushort _reserved1;
}
