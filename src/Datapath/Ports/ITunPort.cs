using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Ports;

/// <summary>
/// The side of the host: plaintext packets, each behind a <see cref="VnetHeader"/>, so that one may stand for many (TSO, USO, GRO). One
/// thread reads and one writes.
/// </summary>
public interface ITunPort
{
    /// <summary>Reads one packet with its header into a pinned array without waiting: its length, 0 where none waits, or a negative errno.</summary>
    int Read(byte[] pinned, int offset, int length);

    /// <summary>Writes one packet that is gathered from parts, and has a mark where the device can give it one: 0, or an errno.</summary>
    int Write(in VnetHeader header, ReadOnlySpan<PacketPart> parts, uint mark);
}
