using System.Runtime.InteropServices;

namespace Xfrmd.Attach;

/// <summary><c>struct user_msghdr</c>, linux/socket.h: 56 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MessageHeader
{
    /// <summary><c>sizeof(struct mmsghdr)</c> and the place of <c>msg_len</c> in it.</summary>
    public const int MultipleStride = 64, MultipleLength = 56;
    public const int NameLengthOffset = 8, ControlLengthOffset = 40, FlagsOffset = 48;

    public ulong Name;
    public int NameLength;
    private readonly int _pad0;
    public ulong Vectors;
    public ulong VectorCount;
    public ulong Control;
    public ulong ControlLength;
    public uint Flags;
    private readonly uint _pad1;
}
