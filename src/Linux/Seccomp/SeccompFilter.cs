using System.Runtime.InteropServices;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Seccomp;

/// <summary>seccomp(2) on the calling thread: puts a filter on it, with a listener for the calls that the filter reports.</summary>
public static partial class SeccompFilter
{
    /// <summary><c>SECCOMP_MODE_FILTER</c>, what <see cref="CurrentMode"/> says under a filter.</summary>
    public const int ModeFilter = 2;

    private const int SeccompNumber = 317;
    private const int SetModeFilter = 1;
    private const int NewListener = 8, SpecAllow = 4, WaitKillableRecv = 32;
    private const int PrGetSeccomp = 21, PrSetNoNewPrivs = 38;

    /// <summary>The seccomp mode of the calling thread (<c>PR_GET_SECCOMP</c>).</summary>
    public static int CurrentMode => prctl(PrGetSeccomp, 0, 0, 0, 0);

    /// <summary>
    /// Installs the program. Without the right to do so it sets no_new_privs and tries again; on a kernel without
    /// <c>WAIT_KILLABLE_RECV</c> it does without.
    /// </summary>
    public static unsafe SeccompInstallResult InstallWithListener(ReadOnlySpan<SockFilter> program)
    {
        bool waitKillable = true, noNewPrivileges = false;
        fixed (SockFilter* filter = program)
        {
            SockFprog header = new() { Length = (ushort)program.Length, Filter = (nint)filter };
            for (; ; )
            {
                int flags = NewListener | SpecAllow | (waitKillable ? WaitKillableRecv : 0);
                int fd = (int)(long)syscall(SeccompNumber, SetModeFilter, flags, &header);
                if (fd >= 0)
                {
                    return new SeccompInstallResult(0, fd, waitKillable, noNewPrivileges);
                }
                int errno = Libc.LastErrno;
                if (errno == Libc.EACCES && !noNewPrivileges)
                {
                    noNewPrivileges = prctl(PrSetNoNewPrivs, 1, 0, 0, 0) == 0;
                    if (noNewPrivileges)
                    {
                        continue;
                    }
                }
                if (errno == Libc.EINVAL && waitKillable)
                {
                    waitKillable = false;
                    continue;
                }
                return new SeccompInstallResult(errno, -1, false, noNewPrivileges);
            }
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int prctl(int option, nuint arg2, nuint arg3, nuint arg4, nuint arg5);
}
