using System.Runtime.InteropServices;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Ports;

/// <summary>One queue of a TUN device. Each of the two directions belongs to one thread.</summary>
/// <param name="queue">The queue.</param>
/// <param name="marker">The device's; null: what is written has no mark.</param>
public sealed class TunPort(TunQueue queue, TunMark? marker = null) : ITunPort
{
    private const int MaxParts = 128;
    private readonly byte[] _header = PinnedArray.Create(VnetHeader.Size);
    private readonly GatherList _gather = new(MaxParts + 1);

    public TunQueue Queue => queue;

    public int Read(byte[] pinned, int offset, int length) => queue.Read(pinned, offset, length);

    public int Write(in VnetHeader header, ReadOnlySpan<PacketPart> parts, uint mark)
    {
        MemoryMarshal.Write(_header, in header);
        _gather.Clear();
        _gather.Add(_header, 0, VnetHeader.Size);
        foreach (ref readonly PacketPart part in parts)
        {
            _gather.Add(part.Buffer, part.Offset, part.Length);
        }
        return marker is null ? queue.Write(_gather) : marker.Write(queue, _gather, mark);
    }
}
