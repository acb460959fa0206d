using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Seccomp;

/// <summary><c>struct seccomp_notif_resp</c>, linux/seccomp.h: 24 bytes, the answer to a notification.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SeccompResponse
{
    public ulong Id;

    /// <summary>What the system call returns, where <see cref="Error"/> is 0.</summary>
    public long Value;

    /// <summary>A negative errno, or 0.</summary>
    public int Error;
    public uint Flags;
}
