using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Packets;

/// <summary>The system calls of the packet path that Tmds.LibC does not have. They take the descriptor itself: a worker ends before its handles are closed.</summary>
internal static unsafe partial class PacketCalls
{
    public const int MSG_DONTWAIT = 0x40, MSG_TRUNC = 0x20, MSG_NOSIGNAL = 0x4000;
    public const short POLLIN = 1;

    [LibraryImport("libc", EntryPoint = "recvmmsg", SetLastError = true)]
    public static partial int ReceiveMessages(int fd, MessageHeader* messages, uint count, int flags, nint timeout);

    [LibraryImport("libc", EntryPoint = "sendmmsg", SetLastError = true)]
    public static partial int SendMessages(int fd, MessageHeader* messages, uint count, int flags);

    private static readonly nint ReadNumber = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 0 : 63;   // __NR_read; all later ports have 63

    /// <summary>
    /// read(2) of a descriptor that does not block, once a packet: without the runtime's GC transition, and without libc's read, which is a
    /// cancellation point. -1: <see cref="Marshal.GetLastSystemError"/> has the errno.
    /// </summary>
    public static nint Read(int fd, nint buffer, nuint length) => SystemCall(ReadNumber, fd, buffer, length);

    [LibraryImport("libc", EntryPoint = "syscall")]
    [SuppressGCTransition]
    private static partial nint SystemCall(nint number, nint fd, nint buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "writev", SetLastError = true)]
    public static partial nint WriteVectors(int fd, IoVector* vectors, int count);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    public static partial int Poll(PollEntry* entries, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "ppoll", SetLastError = true)]
    public static partial int PollExactly(PollEntry* entries, nuint count, Duration* duration, nint signalMask);

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    public static partial int ProcessControl(int option, nuint argument2, nuint argument3, nuint argument4, nuint argument5);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int FileControl(int fd, int command, int argument);

    /// <summary><c>struct timespec</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Duration
    {
        public long Seconds;
        public long Nanoseconds;
    }

    /// <summary><c>struct pollfd</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct PollEntry
    {
        public int Descriptor;
        public short Events;
        public short Happened;
    }
}
