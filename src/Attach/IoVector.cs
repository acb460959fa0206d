using System.Runtime.InteropServices;

namespace Xfrmd.Attach;

/// <summary><c>struct iovec</c> of another process: 16 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct IoVector
{
    public ulong Base;
    public ulong Length;
}
