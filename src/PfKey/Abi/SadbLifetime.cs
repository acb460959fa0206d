using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_lifetime</c>, linux/pfkeyv2.h: 32 bytes. In Linux allocations are packets; 0 is no limit.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbLifetime
{
    public ushort Len;
    public SadbExtType ExtType;
    public uint Allocations;
    public ulong Bytes;
    public ulong AddTime;
    public ulong UseTime;
}
