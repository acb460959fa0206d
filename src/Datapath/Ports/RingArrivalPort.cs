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
    private volatile HashSet<DirectPair> _pairs = [];
    private HashSet<DirectPair> _lastPairs = [];
    private readonly byte[] _last = new byte[32];
    private int _lastLength;
    private int _count;
    private bool _isNoted;
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
            (_lastPairs, _lastLength) = (pairs, 0);
        }
        _isNoted = false;
        return _count = ring.Count(Capacity);
    }

    /// <summary>To be called once for each of the batch, in their order.</summary>
    public bool TryGet(int index, out PacketSlot slot, out Arrival arrival, out int segmentSize)
    {
        segmentSize = 0;
        int floor = index * Stride;
        ReadOnlySpan<byte> packet = ring.Peek();
        int length = LengthOf(packet, _lastPairs);
        slot = new PacketSlot(_slots, floor + PacketSlot.Headroom, length, floor, floor + Stride);
        packet[..length].CopyTo(slot.Span);
        ring.Release();
        if (index == _count - 1)
        {
            ring.EndBatch();
        }
        if (length > 0 && !_isNoted)
        {
            _isNoted = true;
            Volatile.Write(ref _usedAt, TimeProvider.System.GetTimestamp());
        }
        arrival = default;
        return length > 0 && Arrival.TryParse(ref slot, out arrival) && !(filter.IsActive && filter.HasSeen(slot.Span, fromRing: true));
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

    /// <param name="addresses">Source and destination, 8 or 32 bytes.</param>
    /// <param name="family">AF_*.</param>
    /// <param name="pairs">Those that are taken.</param>
    private bool IsAmong(ReadOnlySpan<byte> addresses, ushort family, HashSet<DirectPair> pairs)
    {
        if (addresses.SequenceEqual(_last.AsSpan(0, _lastLength)))
        {
            return true;
        }
        int half = addresses.Length / 2;
        if (!pairs.Contains(new DirectPair(new XfrmAddress(addresses[..half]), new XfrmAddress(addresses[half..]), family)))
        {
            return false;
        }
        addresses.CopyTo(_last);
        _lastLength = addresses.Length;
        return true;
    }
}
