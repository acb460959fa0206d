using Xfrmd.Datapath.Ports;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Tests.Engine;

/// <summary>
/// A network without a kernel: what one worker sends the other receives, once flushed. Its buffers are made once; a packet that finds them
/// full is lost and counted.
/// </summary>
internal sealed class MemoryWire : IWirePort, IArrivalPort
{
    private const int Capacity = 4096, SlotSize = 4096;
    private readonly byte[] _memory = PinnedArray.Create(Capacity * SlotSize);
    private readonly PacketSlot[] _slots = new PacketSlot[Capacity];
    private readonly PacketSlot[] _queued = new PacketSlot[Capacity];
    private int _queuedCount;
    private int _head;
    private int _tail;
    private int _batch;

    /// <summary>Packets in one batch.</summary>
    public int BatchSize { get; set; } = 64;

    public int Lost { get; private set; }

    public int TooBigCount { get; set; }

    public int Waiting => _tail - _head;

    /// <summary>All that waits, as bytes.</summary>
    public List<byte[]> Peek()
    {
        List<byte[]> all = [];
        for (int i = _head; i < _tail; i++)
        {
            all.Add(_slots[i % Capacity].Span.ToArray());
        }
        return all;
    }

    /// <summary>Changes or reorders what waits.</summary>
    public void Swap(int a, int b) =>
        (_slots[(_head + a) % Capacity], _slots[(_head + b) % Capacity]) = (_slots[(_head + b) % Capacity], _slots[(_head + a) % Capacity]);

    public void Add(in PacketSlot packet, bool inUdp) => _queued[_queuedCount++] = packet;

    public void Flush()
    {
        for (int i = 0; i < _queuedCount; i++)
        {
            // Copied only now: a worker that reuses a buffer before it flushed would be found out.
            if (_tail - _head == Capacity)
            {
                Lost++;
                continue;
            }
            int floor = _tail % Capacity * SlotSize;
            PacketSlot slot = new(_memory, floor + PacketSlot.Headroom, _queued[i].Length, floor, floor + SlotSize);
            _queued[i].Span.CopyTo(slot.Span);
            _slots[_tail++ % Capacity] = slot;
        }
        _queuedCount = 0;
    }

    public int Receive()
    {
        _head += _batch;   // the batch before is over
        _batch = Math.Min(BatchSize, _tail - _head);
        return _batch;
    }

    public bool TryGet(int index, out PacketSlot slot, out Arrival arrival, out int segmentSize)
    {
        segmentSize = 0;
        slot = _slots[(_head + index) % Capacity];
        return Arrival.TryParse(ref slot, out arrival);
    }
}
