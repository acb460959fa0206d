namespace Xfrmd.Linux.Seccomp;

/// <summary><c>SECCOMP_RET_*</c>: what a filter says to a system call.</summary>
public static class SeccompAction
{
    public const uint Allow = 0x7fff0000;
    public const uint UserNotification = 0x7fc00000;
}
