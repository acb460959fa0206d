using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Seccomp;

/// <summary>The supervisor's end of a filter (<c>anon_inode:seccomp notify</c>): receives system calls and answers them.</summary>
public sealed class SeccompListener(SafeFileHandle handle) : IDisposable
{
    /// <summary><c>SECCOMP_USER_NOTIF_FLAG_CONTINUE</c>: the kernel does the call as if nobody had looked.</summary>
    public const uint Continue = 1;

    private const int AddFdSetFd = 1, AddFdSend = 2;
    private const ulong SyncWakeUp = 1;

    // _IOWR('!', n, size) of linux/seccomp.h.
    private const int Recv = unchecked((int)0xC0502100), Send = unchecked((int)0xC0182101), IdValid = 0x40082102, AddFd = 0x40182103;
    private const int SetFlags = 0x40082104;

    /// <summary>
    /// Before Linux 6.11 a blocked receive did not end with the last program under the filter; poll(2) told it on every kernel.
    /// </summary>
    private static readonly bool PollFirst = Environment.OSVersion.Version < new Version(6, 11);

    public SafeFileHandle Handle { get; } = handle;

    /// <summary>Asks the kernel to run the answered program on our processor (Linux 6.6; ignored elsewhere).</summary>
    public unsafe void TrySetSynchronousWakeUp() => _ = ioctl(Descriptor, SetFlags, (void*)SyncWakeUp);

    /// <summary>Waits for the next call. False: the last program under the filter has ended.</summary>
    public unsafe bool Receive(out SeccompNotification notification)
    {
        for (; ; )
        {
            notification = default;   // the kernel refuses a buffer that is not zero
            if (PollFirst && !WaitReadable())
            {
                return false;
            }
            fixed (SeccompNotification* n = &notification)
            {
                if (ioctl(Descriptor, Recv, n) == 0)
                {
                    return true;
                }
            }
            switch (Libc.LastErrno)
            {
                case Libc.EINTR:
                    continue;
                case Libc.ENOENT when WaitReadable(0) is not false:   // a caller was killed before we could take its call
                    continue;
                case Libc.ENOENT:
                    return false;
                default:
                    throw new LinuxException(Libc.LastErrno, "SECCOMP_IOCTL_NOTIF_RECV");
            }
        }
    }

    /// <summary>Answers. False: the caller is gone (killed).</summary>
    public unsafe bool Answer(in SeccompResponse response)
    {
        fixed (SeccompResponse* r = &response)
        {
            return Succeeded(ioctl(Descriptor, Send, r), "SECCOMP_IOCTL_NOTIF_SEND");
        }
    }

    /// <summary>Whether the call still waits: asked after reading the caller's memory and before writing to it.</summary>
    public unsafe bool IsWaiting(ulong id) => ioctl(Descriptor, IdValid, &id) == 0;

    /// <summary>
    /// Puts a copy of <paramref name="source"/> into the caller at number <paramref name="at"/> (null: the lowest free one) and answers
    /// the call with that number. 0, or the errno with which it failed: the call then still waits for an answer.
    /// </summary>
    public unsafe int AnswerWithDescriptor(ulong id, SafeFileHandle source, int? at, bool closeOnExec)
    {
        bool held = false;
        try
        {
            source.DangerousAddRef(ref held);
            SeccompAddFd request = new()
            {
                Id = id,
                Flags = AddFdSend | (at is null ? 0u : AddFdSetFd),
                SourceFd = (uint)source.DangerousGetHandle(),
                NewFd = (uint)(at ?? 0),
                NewFdFlags = closeOnExec ? (uint)O_CLOEXEC : 0,
            };
            for (; ; )
            {
                if (ioctl(Descriptor, AddFd, &request) >= 0)
                {
                    return 0;
                }
                if (Libc.LastErrno != Libc.EINTR)
                {
                    return Libc.LastErrno;
                }
            }
        }
        finally
        {
            if (held)
            {
                source.DangerousRelease();
            }
        }
    }

    public void Dispose() => Handle.Dispose();

    private int Descriptor => (int)Handle.DangerousGetHandle();

    private static bool Succeeded(int result, string call) => result >= 0 || Libc.LastErrno switch
    {
        Libc.ENOENT => false,
        int errno => throw new LinuxException(errno, call),
    };

    /// <summary>True: a call waits, or none did within the time. False: hung up.</summary>
    private unsafe bool WaitReadable(int milliseconds = -1)
    {
        pollfd entry = new() { fd = Descriptor, events = POLLIN };
        while (poll(&entry, 1, milliseconds) < 0)
        {
            if (Libc.LastErrno != Libc.EINTR)
            {
                throw new LinuxException(Libc.LastErrno, "poll");
            }
        }
        return (entry.revents & POLLIN) != 0 || (entry.revents & POLLHUP) == 0;
    }
}
