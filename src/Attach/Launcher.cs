using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

/// <summary>
/// <c>xfrmd run</c>: puts the filter on itself, hands the listener to the daemon and becomes the program, in the same process. It starts
/// in milliseconds because it touches as little as it can; above all not System.Console, which would change the terminal.
/// </summary>
public static class Launcher
{
    private const int OwnFailure = 125, CannotExecute = 126, NotFound = 127;   // as env(1) and docker run
    private const int SigPipe = 13;
    private const int SelectLimit = 1024;

    /// <summary>Returns only where it failed: the exit code, after one line that says why.</summary>
    /// <param name="socketPath">The daemon's control socket.</param>
    /// <param name="program">The program and its arguments: the last ones of this process.</param>
    public static int Run(string socketPath, IReadOnlyList<string> program) =>
        RunRaw(socketPath, "run", program[0], [.. ProgramImage.RawArguments.TakeLast(program.Count)]);

    /// <summary>The same for a program that this process chose itself, not its caller. Returns 1 where that failed.</summary>
    /// <param name="socketPath">The daemon's control socket.</param>
    /// <param name="command">The command of xfrmd that is made of it, for messages.</param>
    /// <param name="program">The program and its arguments.</param>
    public static int RunOwn(string socketPath, string command, IReadOnlyList<string> program)
    {
        ProgramImage.RestoreDefaultSignal(SigPipe);   // of a pipe's end the program must die
        RunRaw(socketPath, command, program[0], [.. program.Select(argument => Encoding.UTF8.GetBytes(argument + "\0"))]);
        return 1;
    }

    private static int RunRaw(string socketPath, string command, string name, IReadOnlyList<byte[]> arguments)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            return Fail(command, "programs can be attached on x86-64 only");
        }
        var (soft, hard) = ProgramImage.OpenFileLimit;
        if (hard < SelectLimit / 8)
        {
            return Fail(command, $"the hard limit on open files is {hard}: raise it (ulimit -Hn 1024)");
        }
        ReservedRange range = ReservedRange.Under(hard);
        if (!IsAttached(range))
        {
            if (Attach(socketPath, range) is { } reason)
            {
                return Fail(command, reason);
            }
            if (soft < (ulong)range.High)
            {
                ProgramImage.OpenFileLimit = ((ulong)range.High, hard);   // else the emulated sockets have no place
            }
        }
        RestoreSignals();
        int errno = ProgramImage.Execute(arguments);
        Say(command, $"cannot run '{name}': {Describe(errno)}" + (errno == (int)Errno.ENOENT ? " (is it installed, and in PATH?)" : ""));
        return errno == (int)Errno.ENOENT ? NotFound : CannotExecute;
    }

    /// <summary>One line on standard error, and the exit code for it.</summary>
    public static int Fail(string reason) => Fail("run", reason);

    private static int Fail(string command, string reason)
    {
        Say(command, reason);
        return OwnFailure;
    }

    private static void Say(string command, string reason) => ProgramImage.WriteError($"xfrmd {command}: {reason}\n");

    /// <summary>
    /// Whether an outer <c>xfrmd run</c> has attached us already: then the new socket comes from a daemon, at a number out of the row. There
    /// can be only one listener on a program.
    /// </summary>
    private static bool IsAttached(ReservedRange range) =>
        SeccompFilter.CurrentMode == SeccompFilter.ModeFilter && range.Contains(ProbeSocket.NumberOf(SocketAbi.AfNetlink, SocketAbi.NetlinkXfrm));

    /// <summary>Null, or what is wrong and what to do about it.</summary>
    private static string? Attach(string path, ReservedRange range)
    {
        if (Encoding.UTF8.GetByteCount(path) > SeqpacketSocket.MaxPathLength)
        {
            return $"the socket path '{path}' is longer than {SeqpacketSocket.MaxPathLength} bytes: choose a shorter one";
        }
        int errno = SeqpacketSocket.TryConnect(path, out SafeFileHandle? daemon);
        if (daemon is null)
        {
            return errno switch
            {
                (int)Errno.EACCES or (int)Errno.EPERM =>
                    $"may not talk to the daemon at {path}: run as root, or as the daemon's user",
                (int)Errno.ENOENT or (int)Errno.ECONNREFUSED =>
                    $"no daemon at {path} ({Describe(errno)}): start 'xfrmd serve', or name its socket with --socket or XFRMD_SOCKET",
                _ => $"cannot reach the daemon at {path}: {Describe(errno)}",
            };
        }
        using (daemon)
        {
            bool files = !File.Exists("/proc/net/xfrm_stat") || !File.Exists("/proc/sys/net/core/xfrm_acq_expires");
            if (Ask(daemon, ControlProtocol.WriteHello(range), -1, out bool unseen) is { } refusal)
            {
                return refusal;
            }
            SockFilter[] filter = AttachFilter.Build(range, unseen, files);

            // From here to the daemon's answer this thread must make no call that the filter reports: nobody would answer it yet.
            SeccompInstallResult installed = SeccompFilter.InstallWithListener(filter);
            return installed.Errno switch
            {
                0 => Ask(daemon, [installed.WaitKillable ? (byte)1 : (byte)0], installed.ListenerFd, out _),
                (int)Errno.EBUSY => "another supervisor (a container manager, or WSL) has a seccomp listener on this process already: "
                    + "run xfrmd outside of it",
                (int)Errno.EINVAL or (int)Errno.ENOSYS => "this kernel has no seccomp user notification: Linux 5.14 or later is needed",
                int e => $"cannot install the seccomp filter: {Describe(e)}",
            };
        }
    }

    /// <summary>Sends one message and waits for the answer: null, or the daemon's reason to refuse.</summary>
    private static string? Ask(SafeFileHandle daemon, byte[] message, int descriptor, out bool unseen)
    {
        const string Gone = "the daemon went away while the program was being attached: look at its log";
        unseen = false;
        byte[] answer = new byte[ControlProtocol.MaxReason];
        if (SeqpacketSocket.SendMessage(daemon, message, descriptor) != 0)
        {
            return Gone;
        }
        int length = SeqpacketSocket.ReceiveMessage(daemon, answer, out _);
        if (length <= 0)
        {
            return Gone;
        }
        string text = Encoding.UTF8.GetString(answer, 0, length);
        unseen = text == ControlProtocol.AcceptedUnseen;
        return unseen || text == ControlProtocol.Accepted ? null : "the daemon refuses: " + text;
    }

    /// <summary>
    /// The shipped executable leaves SIGPIPE as it was (see Cli.csproj). Run by the development runtime it finds it ignored, and what was
    /// before is lost: a parent that ignores it has most likely passed that on, as it would have to the program.
    /// </summary>
    private static void RestoreSignals()
    {
        if (!RuntimeFeature.IsDynamicCodeSupported)
        {
            return;
        }
        bool inherited = ProcStatus.TryRead(ProgramImage.ParentProcessId, out ProcStatus parent)
            && (parent.IgnoredSignals >> (SigPipe - 1) & 1) != 0;
        if (!inherited)
        {
            ProgramImage.RestoreDefaultSignal(SigPipe);
        }
    }

    private static string Describe(int errno) => Marshal.GetPInvokeErrorMessage(errno);
}
