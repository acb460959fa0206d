using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_x_kmaddress</c>, linux/pfkeyv2.h: 8 bytes, before two <c>sockaddr</c>s.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbXKmaddress
{
    public ushort Len;
    public SadbExtType ExtType;
    public uint Reserved;
}
