using System.Buffers.Binary;
using Xfrmd.Datapath.Direct;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Ports;

/// <summary>ESP of known pairs of addresses from the ring of a link. What it takes is kept from the raw sockets by the ring itself or a netfilter rule (<see cref="DirectRules"/>).</summary>
/// <param name="ring">Owned.</param>
/// <param name="filter">Shared with the raw sockets' ports.</param>
public sealed class RingArrivalPort(ILinkRing ring, TwiceFilter filter) : IArrivalPort, IDisposable
{
    public const int Capacity = 128;
    private const int Stride = PacketSlot.Headroom + 2048 + PacketSlot.Tailroom;
    private const int Ipv6HeaderLength = Ipv6View.HeaderLength;
    private readonly byte[] _slots = PinnedArray.Create(Capacity * Stride);
    private readonly int[] _lengths = new int[Capacity];
    private volatile HashSet<DirectPair> _pairs = [];
    private HashSet<DirectPair> _lastPairs = [];
    private DirectPair _last;
    private long _usedAt = TimeProvider.System.GetTimestamp();

    public ILinkRing Ring => ring;

    /// <summary>Whose packets are taken; all others are the raw sockets'. Replaced by any thread, never changed.</summary>
    public HashSet<DirectPair> Pairs
    {
        get => _pairs;
        set => _pairs = value;
    }

    /// <summary>When it last had packets.</summary>
    public long UsedAt => Volatile.Read(ref _usedAt);

    public void PrepareWait() => ring.PrepareWait();

    public int Receive()
    {
        HashSet<DirectPair> pairs = _pairs;
        if (pairs != _lastPairs)
        {
            (_lastPairs, _last) = (pairs, default);
        }
        int count = 0;
        while (count < Capacity && ring.TryPeek(out ReadOnlySpan<byte> packet))
        {
            int length = LengthOf(packet, pairs);
            if (length > 0)
            {
                packet[..length].CopyTo(_slots.AsSpan((count * Stride) + PacketSlot.Headroom));
                _lengths[count++] = length;
            }
            ring.Release();
        }
        ring.EndBatch();
        if (count > 0)
        {
            Volatile.Write(ref _usedAt, TimeProvider.System.GetTimestamp());
        }
        return count;
    }

    public bool TryGet(int index, out PacketSlot slot, out Arrival arrival, out int segmentSize)
    {
        segmentSize = 0;
        int floor = index * Stride;
        slot = new PacketSlot(_slots, floor + PacketSlot.Headroom, _lengths[index], floor, floor + Stride);
        return Arrival.TryParse(ref slot, out arrival) && !(filter.IsActive && filter.HasSeen(slot.Span, fromRing: true));
    }

    public void Dispose() => ring.Dispose();

    /// <summary>Bytes of a packet that netfilter is told to drop, and that the kernel would have taken (<c>ip_rcv_core</c>, <c>ip6_rcv_core</c>); 0: any other.</summary>
    private int LengthOf(ReadOnlySpan<byte> packet, HashSet<DirectPair> pairs)
    {
        const int Ipv4Header = Ipv4View.MinHeaderLength, FlagsAndOffset = 6, Addresses4 = 12, Addresses6 = 8, PayloadLengthAt = 4;
        if (packet.Length >= Ipv4Header && packet[0] == 0x45)
        {
            int total = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
            return packet[Ipv4View.ProtocolAt] == IpProtocol.Esp
                && (BinaryPrimitives.ReadUInt16BigEndian(packet[FlagsAndOffset..]) & (Ipv4View.MoreFragmentsBit | Ipv4View.OffsetMask)) == 0
                && total >= Ipv4Header && total < PacketRing.LengthLimit && total <= packet.Length
                && IsAmong(packet.Slice(Addresses4, 8), AddressFamily.Inet, pairs)
                && InternetChecksum.Verifies(packet[..Ipv4Header]) ? total : 0;
        }
        if (packet.Length > Ipv6HeaderLength && packet[0] >> 4 == 6)
        {
            int payload = BinaryPrimitives.ReadUInt16BigEndian(packet[PayloadLengthAt..]), total = Ipv6HeaderLength + payload;
            return packet[Ipv6View.NextHeaderAt] == IpProtocol.Esp && payload is > 0 and < PacketRing.LengthLimit && total <= packet.Length
                && IsAmong(packet.Slice(Addresses6, 32), AddressFamily.Inet6, pairs) ? total : 0;
        }
        return 0;
    }

    private bool IsAmong(ReadOnlySpan<byte> addresses, ushort family, HashSet<DirectPair> pairs)
    {
        int half = addresses.Length / 2;
        DirectPair pair = new(new XfrmAddress(addresses[..half]), new XfrmAddress(addresses[half..]), family);
        if (pair == _last)
        {
            return true;
        }
        bool found = pairs.Contains(pair);
        _last = found ? pair : _last;
        return found;
    }
}
