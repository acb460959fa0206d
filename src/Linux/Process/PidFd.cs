using Microsoft.Win32.SafeHandles;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Process;

/// <summary>pidfd_open(2) and pidfd_getfd(2).</summary>
public static class PidFd
{
    private const int OpenNumber = 434, GetFdNumber = 438;
    private const int Thread = 0x80;   // PIDFD_THREAD = O_EXCL, Linux 6.9

    /// <summary>Whether duplicates may be had of this process at all.</summary>
    public static bool MayDuplicate(int pid)
    {
        using SafeFileHandle? none = TryDuplicate(pid, pid, int.MaxValue, out int errno);
        return errno == Libc.EBADF;
    }

    /// <summary>A handle of a thread, readable once that (before Linux 6.9 its process) has ended. Null with the errno.</summary>
    public static SafeFileHandle? TryOpen(int tid, int tgid, out int errno)
    {
        int pidFd = (int)(long)syscall(OpenNumber, tid, Thread);
        if (pidFd < 0 && Libc.LastErrno == Libc.EINVAL)
        {
            pidFd = (int)(long)syscall(OpenNumber, tgid, 0);
        }
        errno = pidFd < 0 ? Libc.LastErrno : 0;
        return pidFd < 0 ? null : new SafeFileHandle(pidFd, ownsHandle: true);
    }

    /// <summary>
    /// A duplicate of a descriptor of another thread, or null with the errno: EPERM where a container forbids it, EBADF where it is not
    /// open.
    /// </summary>
    public static SafeFileHandle? TryDuplicate(int tid, int tgid, int fd, out int errno)
    {
        using SafeFileHandle? thread = TryOpen(tid, tgid, out errno);
        if (thread is null)
        {
            return null;
        }
        int duplicate = (int)(long)syscall(GetFdNumber, (int)thread.DangerousGetHandle(), fd, 0);
        errno = duplicate < 0 ? Libc.LastErrno : 0;
        return duplicate < 0 ? null : new SafeFileHandle(duplicate, ownsHandle: true);
    }
}
