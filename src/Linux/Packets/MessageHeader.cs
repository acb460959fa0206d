using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Packets;

/// <summary><c>struct mmsghdr</c>: a <c>struct msghdr</c> and what recvmmsg and sendmmsg write behind it (64-bit layout).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MessageHeader
{
    public nint Name;
    public uint NameLength;
    private readonly uint _pad0;
    public nint Vectors;
    public nuint VectorCount;
    public nint Control;
    public nuint ControlLength;
    public int Flags;
    private readonly uint _pad1;
    public uint Bytes;
    private readonly uint _pad2;
}
