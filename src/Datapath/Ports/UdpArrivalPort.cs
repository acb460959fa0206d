using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Ports;

/// <summary>ESP in UDP from a socket that shares the IKE daemon's port: many datagrams in one message (UDP_GRO).</summary>
public sealed class UdpArrivalPort(SafeFileHandle socket, ushort family, ushort port) : IArrivalPort
{
    private const int Capacity = 16, SlotSize = 65536;
    private readonly ReceiveBatch _batch = new(Capacity, SlotSize, PacketSlot.Headroom, PacketSlot.Tailroom);

    public SafeFileHandle Socket => socket;

    public int Receive() => Math.Max(0, _batch.Receive(socket));

    public bool TryGet(int index, out PacketSlot slot, out Arrival arrival, out int segmentSize)
    {
        _batch.Locate(index, out byte[] buffer, out int offset, out int length, out int floor, out int limit);
        slot = new PacketSlot(buffer, offset, length, floor, limit);
        _batch.ReadControl(index, out ReceiveInfo info);
        slot.Mark = info.Mark;
        segmentSize = info.SegmentSize < length ? info.SegmentSize : 0;
        if (!SocketAddresses.TryRead(_batch.Source(index), out ReadOnlySpan<byte> source, out ushort sport))
        {
            arrival = default;
            return false;
        }
        arrival = Arrival.Udp(family, new XfrmAddress(source), RawArrivalPort.AddressOf(info), sport, info.TrafficClass, info.HopLimit, port);
        arrival.FlowLabel = info.FlowLabel;
        return true;
    }
}
