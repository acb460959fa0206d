using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_sens</c>, linux/pfkeyv2.h: 16 bytes. Linux ignores it.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbSens
{
    public ushort Len;
    public SadbExtType ExtType;
    public uint Dpd;
    public byte SensLevel;
    public byte SensLen;
    public byte IntegLevel;
    public byte IntegLen;
    public uint Reserved;
}
