using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Seccomp;

/// <summary><c>struct seccomp_data</c>, linux/seccomp.h: 64 bytes, the system call that a filter looks at.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SeccompData
{
    public int Number;
    public uint Architecture;
    public ulong InstructionPointer;
    public SixArguments Arguments;

    /// <summary><c>__u64 args[6]</c>.</summary>
    [InlineArray(6)]
    public struct SixArguments
    {
        private ulong _first;
    }
}
