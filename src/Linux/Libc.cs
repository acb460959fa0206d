using System.Runtime.InteropServices;

namespace Xfrmd.Linux;

/// <summary>How wrappers turn a return value of -1 into a value or a <see cref="LinuxException"/>.</summary>
internal static class Libc
{
    internal const int EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EBADF = 9, EAGAIN = 11, EACCES = 13, EFAULT = 14, EBUSY = 16, EINVAL = 22;
    internal const int EINPROGRESS = 115, ENOSYS = 38, EMSGSIZE = 90, EPIPE = 32, ECONNRESET = 104, ENOBUFS = 105, ENOTCONN = 107;

    /// <summary>The error number of the call that just returned -1.</summary>
    internal static int LastErrno => Marshal.GetLastPInvokeError();

    internal static int Check(int result, string call) => result >= 0 ? result : throw new LinuxException(LastErrno, call);

    internal static long Check(long result, string call) => result >= 0 ? result : throw new LinuxException(LastErrno, call);
}
