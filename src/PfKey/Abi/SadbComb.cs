using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_comb</c>, linux/pfkeyv2.h: 72 bytes: one combination of algorithms in a proposal.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbComb
{
    public byte Auth;
    public byte Encrypt;
    public ushort Flags;
    public ushort AuthMinbits;
    public ushort AuthMaxbits;
    public ushort EncryptMinbits;
    public ushort EncryptMaxbits;
    private uint _reserved;
    public uint SoftAllocations;
    public uint HardAllocations;
    public ulong SoftBytes;
    public ulong HardBytes;
    public ulong SoftAddtime;
    public ulong HardAddtime;
    public ulong SoftUsetime;
    public ulong HardUsetime;
}
