using System.Runtime.InteropServices;
using System.Text;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Process;

/// <summary>
/// Reads and writes the memory of other processes: process_vm_readv(2) and process_vm_writev(2), or /proc/PID/mem where those are
/// forbidden (older container engines).
/// </summary>
public sealed partial class ProcessMemory
{
    private volatile bool _useProcFile;

    /// <summary>Fills the span from the thread's memory. False: some of it is not there (EFAULT), or the thread is gone.</summary>
    public bool TryRead(int tid, ulong address, Span<byte> buffer) => ReadSome(tid, address, buffer) == buffer.Length;

    /// <summary>Reads two pages at most, as many as are there: how many bytes, or -1.</summary>
    public unsafe int ReadPages(int tid, ulong address, Span<byte> buffer)
    {
        const int PageSize = 4096;
        fixed (byte* local = buffer)
        {
            if (!_useProcFile)
            {
                // A piece for each page: what cannot be read ends the call before its piece.
                iovec here = new() { iov_base = local, iov_len = buffer.Length };
                iovec* there = stackalloc iovec[]
                {
                    new() { iov_base = (void*)address, iov_len = Math.Min(buffer.Length, PageSize) },
                    new() { iov_base = (void*)(address + PageSize), iov_len = Math.Max(buffer.Length - PageSize, 0) },
                };
                nint done = process_vm_readv(tid, &here, 1, there, 2, 0);
                if (done >= 0 || !MustUseProcFile(tid))
                {
                    return (int)done;
                }
            }
            return ThroughProcFile(tid, O_RDONLY, local, buffer.Length, address);
        }
    }

    /// <summary>Reads a structure.</summary>
    public bool TryRead<T>(int tid, ulong address, out T value)
        where T : unmanaged
    {
        value = default;
        return TryRead(tid, address, MemoryMarshal.AsBytes(new Span<T>(ref value)));
    }

    /// <summary>Writes the whole span, or returns false (some of it may then have been written).</summary>
    public bool TryWrite(int tid, ulong address, ReadOnlySpan<byte> bytes) => bytes.IsEmpty || WriteSome(tid, address, bytes) == bytes.Length;

    /// <summary>Writes two spans, the second of which may be empty, in one call where that can be.</summary>
    public unsafe bool TryWrite(int tid, ulong address, ReadOnlySpan<byte> bytes, ulong secondAddress, ReadOnlySpan<byte> second)
    {
        if (!_useProcFile && !bytes.IsEmpty && !second.IsEmpty)
        {
            fixed (byte* a = bytes, b = second)
            {
                iovec* here = stackalloc iovec[] { new() { iov_base = a, iov_len = bytes.Length }, new() { iov_base = b, iov_len = second.Length } };
                iovec* there = stackalloc iovec[]
                {
                    new() { iov_base = (void*)address, iov_len = bytes.Length }, new() { iov_base = (void*)secondAddress, iov_len = second.Length },
                };
                nint done = process_vm_writev(tid, here, 2, there, 2, 0);
                if (done >= 0 || !MustUseProcFile(tid))
                {
                    return done == bytes.Length + second.Length;
                }
            }
        }
        return TryWrite(tid, address, bytes) && TryWrite(tid, secondAddress, second);
    }

    public bool TryWrite<T>(int tid, ulong address, in T value)
        where T : unmanaged => TryWrite(tid, address, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>Reads a string that ends with a zero byte; null where it is not readable or longer than the limit.</summary>
    public string? TryReadString(int tid, ulong address, int limit)
    {
        const int Page = 4096;
        Span<byte> buffer = stackalloc byte[limit];
        int length = 0;
        while (length < limit)
        {
            // Never across a page border in one go: the next page may not be there.
            int chunk = Math.Min(limit - length, Page - (int)((address + (ulong)length) % Page));
            if (!TryRead(tid, address + (ulong)length, buffer.Slice(length, chunk)))
            {
                return null;
            }
            int end = buffer.Slice(length, chunk).IndexOf((byte)0);
            if (end >= 0)
            {
                return Encoding.UTF8.GetString(buffer[..(length + end)]);
            }
            length += chunk;
        }
        return null;
    }

    private unsafe int ReadSome(int tid, ulong address, Span<byte> buffer)
    {
        fixed (byte* local = buffer)
        {
            if (!_useProcFile)
            {
                iovec here = new() { iov_base = local, iov_len = buffer.Length };
                iovec there = new() { iov_base = (void*)address, iov_len = buffer.Length };
                nint done = process_vm_readv(tid, &here, 1, &there, 1, 0);
                if (done >= 0 || !MustUseProcFile(tid))
                {
                    return (int)done;
                }
            }
            return ThroughProcFile(tid, O_RDONLY, local, buffer.Length, address);
        }
    }

    private unsafe int WriteSome(int tid, ulong address, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* local = bytes)
        {
            if (!_useProcFile)
            {
                iovec here = new() { iov_base = local, iov_len = bytes.Length };
                iovec there = new() { iov_base = (void*)address, iov_len = bytes.Length };
                nint done = process_vm_writev(tid, &here, 1, &there, 1, 0);
                if (done >= 0 || !MustUseProcFile(tid))
                {
                    return (int)done;
                }
            }
            return ThroughProcFile(tid, O_WRONLY, local, bytes.Length, address);
        }
    }

    /// <summary>After EPERM or ENOSYS: whether the file lets us in where the system call does not. Then it is used from now on.</summary>
    private bool MustUseProcFile(int tid)
    {
        if (Libc.LastErrno is not (Libc.EPERM or Libc.ENOSYS))
        {
            return false;
        }
        int fd = Open(tid, O_RDONLY);
        if (fd < 0)
        {
            return false;
        }
        _ = close(fd);
        _useProcFile = true;
        return true;
    }

    private static unsafe int ThroughProcFile(int tid, int mode, byte* local, int length, ulong address)
    {
        int fd = Open(tid, mode);
        if (fd < 0)
        {
            return -1;
        }
        ssize_t done = mode == O_RDONLY ? pread(fd, local, length, (long)address) : pwrite(fd, local, length, (long)address);
        _ = close(fd);
        return (int)(long)done;
    }

    private static unsafe int Open(int tid, int mode)
    {
        fixed (byte* path = Encoding.ASCII.GetBytes($"/proc/{tid}/mem\0"))
        {
            return open(path, mode | O_CLOEXEC, 0);
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial nint process_vm_readv(int pid, iovec* local, nuint localCount, iovec* remote, nuint remoteCount, nuint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial nint process_vm_writev(int pid, iovec* local, nuint localCount, iovec* remote, nuint remoteCount, nuint flags);
}
