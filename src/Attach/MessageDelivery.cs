using Xfrmd.Kernel;
using Xfrmd.Linux.Process;

namespace Xfrmd.Attach;

/// <summary>The end of a receive that we do for a program: what it gets lands in its memory, as <c>____sys_recvmsg</c> writes it.</summary>
internal static class MessageDelivery
{
    /// <summary>The bytes that the vectors have room for, as far as an int goes.</summary>
    public static int RoomOf(ReadOnlySpan<IoVector> vectors)
    {
        ulong room = 0;
        foreach (IoVector vector in vectors)
        {
            room = Math.Min(room + Math.Min(vector.Length, int.MaxValue), int.MaxValue);
        }
        return (int)room;
    }

    /// <summary>Fills one vector after the other.</summary>
    public static bool TryWriteData(ProcessMemory memory, int thread, ReadOnlySpan<IoVector> vectors, ReadOnlySpan<byte> data)
    {
        bool written = true;
        foreach (IoVector vector in vectors)
        {
            ReadOnlySpan<byte> part = data[..(int)Math.Min(vector.Length, (ulong)data.Length)];
            written &= memory.TryWrite(thread, vector.Base, part);
            data = data[part.Length..];
        }
        return written;
    }

    /// <summary>As <c>move_addr_to_user</c>: as much of the name as the program has room for, and its full length.</summary>
    public static Errno WriteName(ProcessMemory memory, int thread, ulong address, ulong lengthAddress, ReadOnlySpan<byte> name)
    {
        if (!memory.TryRead(thread, lengthAddress, out int room))
        {
            return Errno.EFAULT;
        }
        if (room < 0)
        {
            return Errno.EINVAL;
        }
        return memory.TryWrite(thread, address, name[..Math.Min(room, name.Length)], lengthAddress, BitConverter.GetBytes(name.Length)) ? Errno.None : Errno.EFAULT;
    }

    /// <summary>Name, control messages and flags of a <c>struct msghdr</c>.</summary>
    public static Errno WriteHeader(ProcessMemory memory, int thread, ulong headerAddress, in MessageHeader header, ReadOnlySpan<byte> name, ReadOnlySpan<byte> control, int flags)
    {
        Errno errno = header.Name == 0 ? Errno.None : WriteName(memory, thread, header.Name, headerAddress + MessageHeader.NameLengthOffset, name);
        if (errno == Errno.EINVAL)
        {
            return errno;
        }
        bool written = memory.TryWrite(thread, header.Control, control, headerAddress + MessageHeader.FlagsOffset, BitConverter.GetBytes(flags))
            && memory.TryWrite(thread, headerAddress + MessageHeader.ControlLengthOffset, (ulong)control.Length);
        return written ? errno : Errno.EFAULT;
    }
}
