namespace Xfrmd.Linux.Packets;

/// <summary>The control messages of one received datagram.</summary>
public struct ReceiveInfo
{
    /// <summary>Local address that it was sent to, as its bytes lie in memory (an IPv4 address in the first four).</summary>
    public UInt128 Destination;

    /// <summary>The interface it came in on.</summary>
    public int Interface;

    /// <summary>UDP_GRO: size of each datagram in it but the last; 0: it is one.</summary>
    public int SegmentSize;
    public byte TrafficClass;
    public byte HopLimit;

    /// <summary>IPv6 flow label.</summary>
    public uint FlowLabel;

    /// <summary>IPv6: bytes of extension headers that stood before what was received (<see cref="ReceiveBatch.CopyExtensions"/>).</summary>
    public int ExtensionLength;

    /// <summary>IPv6: what the first of them is, as a next header field says it.</summary>
    public byte FirstExtension;

    /// <summary>The packet's mark, where the socket tells it.</summary>
    public uint Mark;
}
