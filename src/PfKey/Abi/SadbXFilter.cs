using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_x_filter</c>, linux/pfkeyv2.h: 40 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public struct SadbXFilter
{
    public ushort Len;
    public SadbExtType ExtType;
    public XfrmAddress Saddr;
    public XfrmAddress Daddr;
    public ushort Family;
    public byte Splen;
    public byte Dplen;
}
