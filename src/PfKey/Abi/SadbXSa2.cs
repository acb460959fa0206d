using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_x_sa2</c>, linux/pfkeyv2.h: 16 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbXSa2
{
    public ushort Len;
    public SadbExtType ExtType;
    public IpsecMode Mode;
    private byte _reserved1;
    private ushort _reserved2;
    public uint Sequence;
    public uint Reqid;
}
