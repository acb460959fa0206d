using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_prop</c>, linux/pfkeyv2.h: 8 bytes, before combinations.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbProp
{
    public ushort Len;
    public SadbExtType ExtType;
    public byte Replay;
    private byte _reserved0;
    private ushort _reserved1;
}
