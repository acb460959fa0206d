using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Process;

/// <summary>
/// What one asks again and again about a thread, asked the cheapest way: its folders in /proc stay open, so no path is walked, and its number
/// means the thread itself as long as it lives. Forget it when the thread enters another user namespace. Not thread safe.
/// </summary>
public sealed partial class ThreadView : IDisposable
{
    private const int OpenPath = 0x200000;   // O_PATH
    private const int MaxLinks = 2;
    private const uint CapabilityVersion3 = 0x20080522;
    private readonly SafeFileHandle _files;
    private readonly SafeFileHandle _namespaces;
    private readonly (int Descriptor, SafeFileHandle? Link)[] _links = new (int, SafeFileHandle?)[MaxLinks];
    private int _nextLink;

    private ThreadView(int tid, in ProcStatus status, SafeFileHandle files, SafeFileHandle namespaces)
    {
        (Tid, Tgid, InnerTgid) = (tid, status.Tgid, status.InnerTgid);
        (_files, _namespaces, UserNamespace) = (files, namespaces, ReadInode(namespaces, "user\0"u8, "user"u8, out _));
    }

    public int Tid { get; }

    /// <summary>The thread group.</summary>
    public int Tgid { get; }

    /// <summary>The thread group as the program itself sees it.</summary>
    public int InnerTgid { get; }

    /// <summary>Null where there is no such thread, or it may not be looked at.</summary>
    public static ThreadView? TryOpen(int tid)
    {
        if (!ProcStatus.TryRead(tid, out ProcStatus status))
        {
            return null;
        }
        SafeFileHandle? files = OpenFolder($"/proc/{tid}/fd"), namespaces = OpenFolder($"/proc/{tid}/ns");
        if (files is not null && namespaces is not null)
        {
            return new ThreadView(tid, status, files, namespaces);
        }
        files?.Dispose();
        namespaces?.Dispose();
        return null;
    }

    /// <summary>The number of its user namespace.</summary>
    public ulong UserNamespace { get; }

    /// <summary>The number in <c>socket:[N]</c> of a descriptor; 0 where it is not open, no socket, or the thread is gone.</summary>
    public ulong SocketInode(int descriptor, out bool exists)
    {
        foreach ((int known, SafeFileHandle? link) in _links)
        {
            if (known == descriptor && link is not null)
            {
                return ReadInode(link, [0], "socket"u8, out exists);
            }
        }
        Span<byte> name = stackalloc byte[12];
        _ = System.Buffers.Text.Utf8Formatter.TryFormat(descriptor, name, out int length);
        name[length] = 0;
        ulong inode = ReadInode(_files, name, "socket"u8, out exists);
        if (inode != 0)
        {
            KeepLink(descriptor, name);
        }
        return inode;
    }

    /// <summary>The number of its network namespace; 0 where the thread is gone.</summary>
    public ulong ReadNetworkNamespace() => ReadInode(_namespaces, "net\0"u8, "net"u8, out _);

    /// <summary>Its effective capabilities within its own user namespace (capget(2)); null where the thread is gone.</summary>
    public unsafe ulong? EffectiveCapabilities
    {
        get
        {
            CapabilityHeader header = new() { Version = CapabilityVersion3, Pid = Tid };
            CapabilityData* data = stackalloc CapabilityData[2];
            return capget(&header, data) == 0 ? data[0].Effective | ((ulong)data[1].Effective << 32) : null;
        }
    }

    public void Dispose()
    {
        _files.Dispose();
        _namespaces.Dispose();
        foreach ((_, SafeFileHandle? link) in _links)
        {
            link?.Dispose();
        }
    }

    /// <summary>
    /// The link itself stays open: it stands for the number, whatever file is behind it at the time, and finding it in the folder costs as much
    /// as reading it.
    /// </summary>
    private unsafe void KeepLink(int descriptor, ReadOnlySpan<byte> name)
    {
        fixed (byte* n = name)
        {
            int fd = openat((int)_files.DangerousGetHandle(), n, OpenPath | O_NOFOLLOW | O_CLOEXEC);
            if (fd >= 0)
            {
                _links[_nextLink].Link?.Dispose();
                _links[_nextLink] = (descriptor, new SafeFileHandle(fd, ownsHandle: true));
                _nextLink = (_nextLink + 1) % MaxLinks;
            }
        }
    }

    private static unsafe SafeFileHandle? OpenFolder(string path)
    {
        fixed (byte* name = Encoding.ASCII.GetBytes(path + "\0"))
        {
            int fd = open(name, OpenPath | O_CLOEXEC, 0);
            return fd < 0 ? null : new SafeFileHandle(fd, ownsHandle: true);
        }
    }

    private static unsafe ulong ReadInode(SafeFileHandle folder, ReadOnlySpan<byte> name, ReadOnlySpan<byte> kind, out bool exists)
    {
        Span<byte> target = stackalloc byte[64];
        fixed (byte* n = name, buffer = target)
        {
            nint length = readlinkat((int)folder.DangerousGetHandle(), n, buffer, (nuint)target.Length);
            exists = length >= 0 || Libc.LastErrno != Libc.ENOENT;
            return ProcFile.ParseInode(target[..(int)Math.Max(0, length)], kind);
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct CapabilityHeader
    {
        public uint Version;
        public int Pid;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct CapabilityData
    {
        public uint Effective;
        public uint Permitted;
        public uint Inheritable;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial nint readlinkat(int folder, byte* path, byte* buffer, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int openat(int folder, byte* path, int flags);

    [LibraryImport("libc")]
    private static unsafe partial int capget(CapabilityHeader* header, CapabilityData* data);
}
