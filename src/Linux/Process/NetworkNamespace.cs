using System.Globalization;
using System.Runtime.ExceptionServices;
using Microsoft.Win32.SafeHandles;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Process;

/// <summary>Work done inside another network namespace.</summary>
public static class NetworkNamespace
{
    /// <summary>
    /// Runs the work with the calling thread in the namespace and brings the thread back, whatever the work does. Only for dedicated
    /// threads. False, with nothing done, where we may not enter (no CAP_SYS_ADMIN).
    /// </summary>
    public static bool TryRun(SafeFileHandle target, SafeFileHandle home, Action work)
    {
        if (setns((int)target.DangerousGetHandle(), CLONE_NEWNET) != 0)
        {
            return Libc.LastErrno == Libc.EPERM ? false : throw new LinuxException(Libc.LastErrno, "setns");
        }
        try
        {
            work();
            return true;
        }
        finally
        {
            if (setns((int)home.DangerousGetHandle(), CLONE_NEWNET) != 0)
            {
                // A thread that cannot come home would do everything else in the wrong namespace.
                Environment.FailFast("setns back to the home network namespace failed");
            }
        }
    }

    /// <summary>Another handle of the same namespace.</summary>
    public static SafeFileHandle Duplicate(SafeFileHandle netns) =>
        ProcFile.TryOpen(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{netns.DangerousGetHandle()}"))
        ?? throw new LinuxException(Libc.LastErrno, "duplicate of a network namespace");

    /// <summary>
    /// Runs the work in the namespace on a thread of its own, which ends with it: what it opens there (sockets, TUN queues) belongs there.
    /// Its exceptions come out here.
    /// </summary>
    public static T Run<T>(SafeFileHandle target, Func<T> work)
    {
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                // Without CAP_SYS_ADMIN (a container) no namespace may be entered, but the one that we are in needs no entering.
                if (!IsOurs(target))
                {
                    Libc.Check(setns((int)target.DangerousGetHandle(), CLONE_NEWNET), "setns");
                }
                result = work();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        })
        { Name = "xfrmd-netns", IsBackground = true };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }

    /// <summary>Whether the calling thread is in the namespace already.</summary>
    private static bool IsOurs(SafeFileHandle target) =>
        new FileInfo($"/proc/self/fd/{target.DangerousGetHandle()}").LinkTarget is { } asked && asked == new FileInfo("/proc/thread-self/ns/net").LinkTarget;
}
