using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Seccomp;

/// <summary><c>struct seccomp_notif_addfd</c>, linux/seccomp.h: 24 bytes, a descriptor for the program that waits.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SeccompAddFd
{
    public ulong Id;
    public uint Flags;
    public uint SourceFd;
    public uint NewFd;
    public uint NewFdFlags;
}
