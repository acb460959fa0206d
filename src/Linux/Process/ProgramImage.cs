using System.Runtime.InteropServices;
using System.Text;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Process;

/// <summary>What a launcher does last: puts this process into the state that a program expects and becomes that program.</summary>
public static partial class ProgramImage
{
    private const int RlimitNofile = 7;

    public static int ParentProcessId => getppid();

    public static uint EffectiveUserId => geteuid();

    public static int ProcessId => (int)getpid();

    /// <summary>Sets a signal's disposition to the default.</summary>
    public static void RestoreDefaultSignal(int signal) => SetDisposition(signal, 0);

    /// <summary>Ignores a signal.</summary>
    public static void IgnoreSignal(int signal) => SetDisposition(signal, 1);

    private static unsafe void SetDisposition(int signal, nint handler)
    {
        // struct sigaction of glibc: the handler stands first (SIG_DFL 0, SIG_IGN 1), all else may be zero.
        sigaction action = default;
        *(nint*)&action = handler;
        Libc.Check(LibC.sigaction(signal, &action, null), "sigaction");
    }

    /// <summary>RLIMIT_NOFILE.</summary>
    public static unsafe (ulong Soft, ulong Hard) OpenFileLimit
    {
        get
        {
            ResourceLimit limit;
            Libc.Check(getrlimit(RlimitNofile, &limit), "getrlimit");
            return (limit.Soft, limit.Hard);
        }

        set
        {
            ResourceLimit limit = new() { Soft = value.Soft, Hard = value.Hard };
            Libc.Check(setrlimit(RlimitNofile, &limit), "setrlimit");
        }
    }

    /// <summary>The arguments of this process as bytes: a program's own may be in any encoding, or none.</summary>
    public static IReadOnlyList<byte[]> RawArguments
    {
        get
        {
            byte[] line = File.ReadAllBytes("/proc/self/cmdline");
            List<byte[]> arguments = [];
            for (int start = 0; start < line.Length;)
            {
                int length = line.AsSpan(start).IndexOf((byte)0);
                length = length < 0 ? line.Length - start : length;
                arguments.Add([.. line.AsSpan(start, length), 0]);
                start += length + 1;
            }
            return arguments;
        }
    }

    /// <summary>
    /// execvp(3) with the environment as this process found it; each argument ends with a zero byte. Returns only where it failed: the
    /// errno.
    /// </summary>
    public static unsafe int Execute(IReadOnlyList<byte[]> arguments)
    {
        nint* vector = (nint*)NativeMemory.AllocZeroed((nuint)(arguments.Count + 1), (nuint)sizeof(nint));
        GCHandle[] pins = [.. arguments.Select(a => GCHandle.Alloc(a, GCHandleType.Pinned))];
        for (int i = 0; i < pins.Length; i++)
        {
            vector[i] = pins[i].AddrOfPinnedObject();
        }
        _ = execvp(vector[0], vector);
        int errno = Libc.LastErrno;
        foreach (GCHandle pin in pins)
        {
            pin.Free();
        }
        NativeMemory.Free(vector);
        return errno;
    }

    /// <summary>Writes to standard error without touching the terminal, as System.Console would.</summary>
    public static unsafe void WriteError(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        fixed (byte* b = bytes)
        {
            _ = write(2, b, bytes.Length);
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ResourceLimit
    {
        public ulong Soft;
        public ulong Hard;
    }

    [LibraryImport("libc")]
    private static partial int getppid();

    [LibraryImport("libc")]
    private static partial uint geteuid();

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int getrlimit(int resource, ResourceLimit* limit);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int setrlimit(int resource, ResourceLimit* limit);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int execvp(nint file, nint* arguments);
}
