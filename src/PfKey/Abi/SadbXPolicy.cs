using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_x_policy</c>, linux/pfkeyv2.h: 16 bytes, before <see cref="SadbXIpsecrequest"/>s.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbXPolicy
{
    public ushort Len;
    public SadbExtType ExtType;
    public IpsecPolicyType Type;
    public IpsecDir Dir;
    private byte _reserved;
    public uint Id;
    public uint Priority;
}
