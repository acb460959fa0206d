using System.Runtime.InteropServices;
using Xfrmd.Kernel;

namespace Xfrmd.PfKey.Abi;

/// <summary><c>struct sockaddr_in</c>, linux/in.h: 16 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SockaddrIn
{
    public ushort Family;
    public Be16 Port;
    public uint Address;
    private ulong _zero;
}
