namespace Xfrmd.Datapath.Ports;

/// <summary>Bytes of a pinned buffer that are one part of a packet.</summary>
public readonly record struct PacketPart(byte[] Buffer, int Offset, int Length)
{
    public Span<byte> Span => Buffer.AsSpan(Offset, Length);
}
