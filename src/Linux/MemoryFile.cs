using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux;

/// <summary>memfd_create(2): a file that exists only as a descriptor.</summary>
public static class MemoryFile
{
    /// <summary>A file with this content, opened for reading only, at its start.</summary>
    public static unsafe SafeFileHandle CreateReadOnly(string name, ReadOnlySpan<byte> content)
    {
        int fd;
        fixed (byte* n = Encoding.UTF8.GetBytes(name + "\0"))
        {
            fd = Libc.Check(memfd_create(n, MFD_CLOEXEC), "memfd_create");
        }
        using SafeFileHandle writable = new(fd, ownsHandle: true);
        fixed (byte* bytes = content)
        {
            Libc.Check((long)write(fd, bytes, content.Length), "write");
        }
        string path = string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{fd}\0");
        fixed (byte* p = Encoding.ASCII.GetBytes(path))
        {
            return new SafeFileHandle(Libc.Check(open(p, O_RDONLY | O_CLOEXEC, 0), "open"), ownsHandle: true);
        }
    }
}
