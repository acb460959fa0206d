using System.Runtime.InteropServices;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Ports;

/// <summary>One queue of a TUN device. Each of the two directions belongs to one thread.</summary>
public sealed class TunPort(TunQueue queue) : ITunPort
{
    private const int MaxParts = 128;
    private readonly byte[] _header = PinnedArray.Create(VnetHeader.Size);
    private readonly GatherList _gather = new(MaxParts + 1);

    public TunQueue Queue => queue;

    public int Read(byte[] pinned, int offset, int length) => queue.Read(pinned, offset, length);

    public int Write(in VnetHeader header, ReadOnlySpan<PacketPart> parts)
    {
        MemoryMarshal.Write(_header, in header);
        _gather.Clear();
        _gather.Add(_header, 0, VnetHeader.Size);
        foreach (ref readonly PacketPart part in parts)
        {
            _gather.Add(part.Buffer, part.Offset, part.Length);
        }
        return queue.Write(_gather);
    }
}
