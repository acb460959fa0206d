using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux.Process;

/// <summary>The inode of an open file: for a socket, the number in <c>socket:[N]</c>.</summary>
public static partial class FileNumber
{
    private const int StatSize = 256;   // struct stat: 144 on x86-64, 128 in asm-generic
    private const int InodeOffset = 8;

    /// <exception cref="LinuxException">No such descriptor.</exception>
    public static unsafe ulong Of(SafeFileHandle file)
    {
        byte* status = stackalloc byte[StatSize];
        Libc.Check(fstat((int)file.DangerousGetHandle(), status), "fstat");
        return *(ulong*)(status + InodeOffset);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int fstat(int descriptor, byte* status);
}
