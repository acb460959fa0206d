using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_address</c>, linux/pfkeyv2.h: 8 bytes, before a <c>sockaddr</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbAddress
{
    public ushort Len;
    public SadbExtType ExtType;
    public byte Proto;
    public byte Prefixlen;
    public ushort Reserved;
}
