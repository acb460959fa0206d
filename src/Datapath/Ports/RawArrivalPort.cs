using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Direct;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Ports;

/// <summary>ESP, AH, IPComp or a port's ESP in UDP from a raw socket.</summary>
public sealed class RawArrivalPort : IArrivalPort, IDisposable
{
    private const int Capacity = 128, SlotSize = 2048;
    private readonly SafeFileHandle _socket;
    private readonly ushort _family;
    private readonly byte _protocol;
    private readonly ReceiveBatch _batch;
    private readonly TwiceFilter? _filter;

    /// <param name="socket">From <see cref="PacketSockets"/>; owned.</param>
    /// <param name="family">Its family.</param>
    /// <param name="protocol">Its protocol.</param>
    /// <param name="filter">Shared with the rings of links; null: there are none.</param>
    public RawArrivalPort(SafeFileHandle socket, ushort family, byte protocol, TwiceFilter? filter = null)
    {
        (_socket, _family, _protocol, _filter) = (socket, family, protocol, filter);
        // An IPv4 packet comes with its header, which says all.
        _batch = new ReceiveBatch(Capacity, SlotSize, PacketSlot.Headroom, PacketSlot.Tailroom, withSource: family != AddressFamily.Inet);
    }

    public SafeFileHandle Socket => _socket;

    public int Receive() => Math.Max(0, _batch.Receive(_socket));

    public bool TryGet(int index, out PacketSlot slot, out Arrival arrival, out int segmentSize)
    {
        segmentSize = 0;
        _batch.Locate(index, out byte[] buffer, out int offset, out int length, out int floor, out int limit);
        slot = new PacketSlot(buffer, offset, length, floor, limit);
        _batch.ReadControl(index, out ReceiveInfo info);
        slot.Mark = info.Mark;
        if (_family == AddressFamily.Inet)
        {
            return Arrival.TryParse(ref slot, out arrival) && !CameBefore(slot, arrival.Proto);
        }
        arrival = default;
        if (!SocketAddresses.TryRead(_batch.Source(index), out ReadOnlySpan<byte> source, out _))
        {
            return false;
        }
        XfrmAddress daddr = AddressOf(info);
        if (_protocol != IpProtocol.Udp)
        {
            arrival = Arrival.Raw6(_protocol, new XfrmAddress(source), daddr, info.TrafficClass, info.HopLimit, info.FlowLabel);
            if (info.ExtensionLength > 0 && arrival.MakeRoom(slot, info.FirstExtension, info.ExtensionLength, out Span<byte> extensions))
            {
                _batch.CopyExtensions(index, extensions);
                arrival.FindNextHeader(slot);
            }
            return !CameBefore(slot, _protocol);
        }
        if (!Wire.UdpView.TryParse(slot.Span, out Wire.UdpView udp))
        {
            return false;
        }
        arrival = Arrival.Udp(_family, new XfrmAddress(source), daddr, udp.Sport, info.TrafficClass, info.HopLimit, udp.Dport);
        arrival.FlowLabel = info.FlowLabel;
        slot.Length = udp.Length;
        slot.StartAt(slot.Offset + Wire.UdpView.HeaderLength);
        return true;
    }

    public void Dispose() => _socket.Dispose();

    private bool CameBefore(in PacketSlot slot, byte protocol) =>
        _filter is { IsActive: true } && protocol == IpProtocol.Esp && _filter.HasSeen(slot.Span, fromRing: false);

    internal static XfrmAddress AddressOf(in ReceiveInfo info) =>
        new(System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<UInt128>(in info.Destination)));
}
