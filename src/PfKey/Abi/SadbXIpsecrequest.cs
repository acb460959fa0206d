using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_x_ipsecrequest</c>, linux/pfkeyv2.h: 16 bytes, before the two <c>sockaddr</c>s of a tunnel.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbXIpsecrequest
{
    /// <summary>With what follows, in bytes.</summary>
    public ushort Len;
    public ushort Proto;
    public IpsecMode Mode;
    public IpsecLevel Level;
    private ushort _reserved1;
    public uint Reqid;
    private uint _reserved2;
}
