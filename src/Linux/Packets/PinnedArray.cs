using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Packets;

/// <summary>Arrays that never move, so that the kernel may be given their addresses: all packet buffers are made here.</summary>
public static class PinnedArray
{
    public static byte[] Create(int length) => GC.AllocateUninitializedArray<byte>(length, pinned: true);

    internal static T[] CreateZeroed<T>(int length) where T : unmanaged => GC.AllocateArray<T>(length, pinned: true);

    /// <summary>Address of an element of an array that <see cref="Create"/> made; the caller keeps the array alive.</summary>
    internal static unsafe nint AddressOf(byte[] array, int offset, int length)
    {
        if ((uint)offset > (uint)array.Length || (uint)length > (uint)(array.Length - offset))
        {
            throw new ArgumentOutOfRangeException(nameof(length));
        }
        return (nint)Unsafe.AsPointer(ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(array), offset));
    }

    internal static unsafe T* Pointer<T>(T[] array) where T : unmanaged => (T*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(array));
}
