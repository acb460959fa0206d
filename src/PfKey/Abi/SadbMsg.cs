using System.Runtime.InteropServices;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_msg</c>, linux/pfkeyv2.h: 16 bytes, what every message begins with.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbMsg
{
    /// <summary><c>PF_KEY_V2</c>.</summary>
    public const byte V2 = 2;

    public byte Version;
    public SadbType Type;
    public byte Errno;
    public SadbSatype Satype;

    /// <summary>Of the whole message, in units of 8 bytes.</summary>
    public ushort Len;
    public ushort Reserved;
    public uint Seq;
    public uint Pid;
}
