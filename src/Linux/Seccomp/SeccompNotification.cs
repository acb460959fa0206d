using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Seccomp;

/// <summary><c>struct seccomp_notif</c>, linux/seccomp.h: 80 bytes, a system call that waits for our answer.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SeccompNotification
{
    /// <summary>Names the call until it is answered.</summary>
    public ulong Id;

    /// <summary>The calling thread (not its group), in our pid namespace; 0 where it has no number here.</summary>
    public uint ThreadId;
    public uint Flags;
    public SeccompData Data;
}
