using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Packets;

/// <summary><c>struct virtio_net_hdr</c>, uapi/linux/virtio_net.h: ten bytes before each packet of a TUN device, in the machine's byte order.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct VnetHeader
{
    public const int Size = 10;

    /// <summary>Flag: the checksum at <see cref="ChecksumStart"/> + <see cref="ChecksumOffset"/> holds only the pseudo header's sum.</summary>
    public const byte NeedsChecksum = 1;

    /// <summary>Flag: the checksum has been verified.</summary>
    public const byte DataValid = 2;

    public const byte GsoNone = 0, GsoTcpV4 = 1, GsoUdpFragments = 3, GsoTcpV6 = 4, GsoUdp = 5, GsoEcn = 0x80;

    public byte Flags;
    public byte GsoType;
    public ushort HeaderLength;
    public ushort GsoSize;
    public ushort ChecksumStart;
    public ushort ChecksumOffset;

    /// <summary>The kind of segments, without the ECN bit.</summary>
    public readonly byte Segments => (byte)(GsoType & ~GsoEcn);
}
