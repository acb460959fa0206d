using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Seccomp;

/// <summary><c>struct sock_filter</c>, linux/filter.h: 8 bytes, one instruction of classic BPF.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct SockFilter(ushort Code, byte JumpTrue, byte JumpFalse, uint Operand);
