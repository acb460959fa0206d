using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_x_sec_ctx</c>, linux/pfkeyv2.h: 8 bytes, before the context.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbXSecCtx
{
    public ushort Len;
    public SadbExtType ExtType;
    public byte Alg;
    public byte Doi;
    public ushort CtxLen;
}
