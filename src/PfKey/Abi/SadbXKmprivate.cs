using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_x_kmprivate</c>, linux/pfkeyv2.h: 8 bytes. Linux ignores it.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbXKmprivate
{
    public ushort Len;
    public SadbExtType ExtType;
    public uint Reserved;
}
