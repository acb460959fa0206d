using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_ident</c>, linux/pfkeyv2.h: 16 bytes. Linux ignores it.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbIdent
{
    public ushort Len;
    public SadbExtType ExtType;
    public ushort Type;
    public ushort Reserved;
    public ulong Id;
}
