using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Packets;

/// <summary>mmap(2) of memory that is shared with the kernel.</summary>
internal static unsafe class MappedMemory
{
    public const int Anonymous = -1;

    /// <param name="descriptor">Whose; <see cref="Anonymous"/>: nobody's.</param>
    /// <param name="offset">Bytes.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="isReadOnly">Nothing is written.</param>
    public static byte* Map(int descriptor, long offset, int length, bool isReadOnly = false)
    {
        int flags = descriptor == Anonymous ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
        void* memory = mmap(null, length, isReadOnly ? PROT_READ : PROT_READ | PROT_WRITE, flags, descriptor, offset);
        return memory != MAP_FAILED ? (byte*)memory : throw new LinuxException(Libc.LastErrno, "mmap");
    }

    /// <summary>Null is no memory, and stays so.</summary>
    public static void Unmap(ref byte* memory, int length)
    {
        if (memory is not null)
        {
            _ = munmap(memory, length);
            memory = null;
        }
    }
}
