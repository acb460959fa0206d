using System.Buffers.Binary;

namespace Xfrmd.Attach;

/// <summary>What stat(2) says of a file of /proc: a plain file of root, one link, no size.</summary>
internal static class FileStatus
{
    private const int BlockSize = 1024;

    /// <summary><c>struct stat</c> of x86-64: 144 bytes.</summary>
    public static byte[] Classic(int mode)
    {
        const int Size = 144, NLink = 16, Mode = 24, BlkSize = 56;
        byte[] bytes = new byte[Size];
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(NLink), 1);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(Mode), mode);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(BlkSize), BlockSize);
        return bytes;
    }

    /// <summary><c>struct statx</c>: 256 bytes.</summary>
    public static byte[] Extended(int mode)
    {
        const int Size = 256, Mask = 0, BlkSize = 4, NLink = 16, Mode = 28, BasicStats = 0x7ff;
        byte[] bytes = new byte[Size];
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(Mask), BasicStats);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(BlkSize), BlockSize);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(NLink), 1);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(Mode), (ushort)mode);
        return bytes;
    }
}
