using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Packets;

/// <summary><c>struct iovec</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct IoVector
{
    public nint Base;
    public nuint Length;
}
