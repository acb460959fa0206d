using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Seccomp;

/// <summary><c>struct sock_fprog</c>, linux/filter.h: 16 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SockFprog
{
    public ushort Length;
    private readonly ushort _pad0;
    private readonly uint _pad1;
    public nint Filter;
}
