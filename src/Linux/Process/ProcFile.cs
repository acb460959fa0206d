using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Process;

/// <summary>Entries of /proc, read with as little ceremony as they deserve.</summary>
public static class ProcFile
{
    /// <summary>The target of a symbolic link, or null where it is not there.</summary>
    public static unsafe string? ReadLink(string path)
    {
        Span<byte> target = stackalloc byte[512];
        fixed (byte* name = Encoding.UTF8.GetBytes(path + "\0"), buffer = target)
        {
            long length = (long)readlink(name, buffer, target.Length);
            return length < 0 ? null : Encoding.UTF8.GetString(target[..(int)length]);
        }
    }

    /// <summary>The number in a link such as <c>socket:[N]</c> or <c>net:[N]</c>; 0 where there is no such link of this kind.</summary>
    public static unsafe ulong ReadInode(string path, ReadOnlySpan<byte> kind, out bool exists)
    {
        Span<byte> target = stackalloc byte[64];
        Span<byte> name = stackalloc byte[96];
        int used = Encoding.ASCII.GetBytes(path, name);
        name[used] = 0;
        fixed (byte* n = name, buffer = target)
        {
            long length = (long)readlink(n, buffer, target.Length);
            exists = length >= 0 || Libc.LastErrno != Libc.ENOENT;
            return ParseInode(target[..(int)Math.Max(0, length)], kind);
        }
    }

    internal static ulong ParseInode(ReadOnlySpan<byte> link, ReadOnlySpan<byte> kind) =>
        link.Length >= kind.Length + 3 && link.StartsWith(kind) && link[kind.Length] == ':'
            && ulong.TryParse(link[(kind.Length + 2)..^1], CultureInfo.InvariantCulture, out ulong inode) ? inode : 0;

    /// <summary>Opens for reading (for a namespace: the handle names and holds it). Null where it is not there or not ours to see.</summary>
    public static unsafe SafeFileHandle? TryOpen(string path)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + "\0"))
        {
            int fd = open(name, O_RDONLY | O_CLOEXEC, 0);
            return fd < 0 ? null : new SafeFileHandle(fd, ownsHandle: true);
        }
    }

    /// <summary>Reads the start of an open file, as it is now. -1 where it cannot be had.</summary>
    public static unsafe int ReadAgain(SafeFileHandle file, Span<byte> buffer)
    {
        fixed (byte* b = buffer)
        {
            return (int)(long)pread((int)file.DangerousGetHandle(), b, buffer.Length, 0);
        }
    }

    /// <summary>Reads the start of a file: as much as one read gives. -1 where it cannot be had.</summary>
    public static unsafe int Read(string path, Span<byte> buffer)
    {
        Span<byte> terminated = stackalloc byte[128];
        int used = Encoding.ASCII.GetBytes(path, terminated);
        terminated[used] = 0;
        fixed (byte* name = terminated, b = buffer)
        {
            int fd = open(name, O_RDONLY | O_CLOEXEC, 0);
            if (fd < 0)
            {
                return -1;
            }
            long length = (long)read(fd, b, buffer.Length);
            _ = close(fd);
            return (int)length;
        }
    }
}
