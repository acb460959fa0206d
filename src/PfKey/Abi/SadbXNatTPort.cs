using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sadb_x_nat_t_port</c>, linux/pfkeyv2.h: 8 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SadbXNatTPort
{
    public ushort Len;
    public SadbExtType ExtType;
    public Be16 Port;
    private ushort _reserved;
}
