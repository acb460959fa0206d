using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_sa</c>, linux/pfkeyv2.h: 16 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbSa
{
    public ushort Len;
    public SadbExtType ExtType;
    public Be32 Spi;
    public byte Replay;
    public SadbSaState State;
    public byte Auth;

    /// <summary>The cipher, or for IPComp the compression.</summary>
    public byte Encrypt;
    public SadbSaFlags Flags;
}
