using System.Buffers.Binary;
using System.Numerics;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>
/// The inner packets that wait to be sent through one IP-TFS SA, and how they are put into payloads: as many as fit whole, and what fits
/// no payload is cut. Mirrors <c>iptfs_output_collect</c> and <c>iptfs_output_queued</c>. One per worker.
/// </summary>
/// <param name="maxBytes">XFRMA_IPTFS_MAX_QSIZE.</param>
internal sealed class IptfsQueue(uint maxBytes)
{
    private const int FirstCapacity = 1 << 16, LengthPrefix = sizeof(int);
    private const int Ce = 3;
    private byte[] _ring = [];
    private int _head, _used;
    private long _packetBytes;

    // Of the packet at the head: bytes that earlier payloads carried.
    private int _sent;

    public bool IsEmpty => _used == 0;

    /// <summary>Bytes of the packet at the head that no payload has carried yet.</summary>
    public int HeadLeft => IsEmpty ? 0 : HeadLength - _sent;

    /// <summary>The packet at the head has been cut, and goes on in the next payload.</summary>
    public bool IsMidPacket => _sent > 0;

    /// <summary>Takes a copy of a packet; false: the queue is full. Above 95 % the packets that can be are marked (CE).</summary>
    public bool TryEnqueue(Span<byte> packet)
    {
        if (_packetBytes + packet.Length > maxBytes)
        {
            return false;
        }
        if ((_packetBytes + packet.Length) * 100 > maxBytes * 95L)
        {
            MarkCongestion(packet);
        }
        Reserve(LengthPrefix + packet.Length);
        Span<byte> prefix = stackalloc byte[LengthPrefix];
        BinaryPrimitives.WriteInt32LittleEndian(prefix, packet.Length);
        Append(prefix);
        Append(packet);
        _packetBytes += packet.Length;
        return true;
    }

    /// <summary>Fills one payload, header included.</summary>
    /// <param name="payload">Room for it: the largest payload that may be sent.</param>
    /// <returns>Its length; 0: nothing waits.</returns>
    public int Fill(Span<byte> payload)
    {
        if (IsEmpty)
        {
            return 0;
        }
        Span<byte> data = payload[AggfragView.HeaderLength..];
        int filled = 0;
        AggfragView.Write(payload, IsMidPacket ? HeadLeft : 0);
        if (IsMidPacket)
        {
            filled = Take(data);
        }
        while (!IsEmpty && !IsMidPacket && (HeadLength <= data.Length - filled || filled == 0))
        {
            filled += Take(data[filled..]);
        }
        return AggfragView.HeaderLength + filled;
    }

    private int HeadLength
    {
        get
        {
            Span<byte> prefix = stackalloc byte[LengthPrefix];
            Copy(_head, prefix);
            return BinaryPrimitives.ReadInt32LittleEndian(prefix);
        }
    }

    private int Take(Span<byte> room)
    {
        int length = HeadLength, part = Math.Min(length - _sent, room.Length);
        Copy(_head + LengthPrefix + _sent, room[..part]);
        _sent += part;
        if (_sent == length)
        {
            _head = (_head + LengthPrefix + length) & (_ring.Length - 1);
            _used -= LengthPrefix + length;
            _packetBytes -= length;
            _sent = 0;
        }
        return part;
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        int at = (_head + _used) & (_ring.Length - 1), first = Math.Min(bytes.Length, _ring.Length - at);
        bytes[..first].CopyTo(_ring.AsSpan(at));
        bytes[first..].CopyTo(_ring);
        _used += bytes.Length;
    }

    private void Copy(int at, Span<byte> destination)
    {
        at &= _ring.Length - 1;
        int first = Math.Min(destination.Length, _ring.Length - at);
        _ring.AsSpan(at, first).CopyTo(destination);
        _ring.AsSpan(0, destination.Length - first).CopyTo(destination[first..]);
    }

    private void Reserve(int bytes)
    {
        if (_used + bytes <= _ring.Length)
        {
            return;
        }
        byte[] larger = new byte[Math.Max(FirstCapacity, (int)BitOperations.RoundUpToPowerOf2((uint)(_used + bytes)))];
        if (_used > 0)
        {
            Copy(_head, larger.AsSpan(0, _used));
        }
        (_ring, _head) = (larger, 0);
    }

    private static void MarkCongestion(Span<byte> packet)
    {
        if (Ipv4View.TryParse(packet, out Ipv4View ip))
        {
            if ((ip.Tos & Ce) != 0)
            {
                ip.ChangeTos((byte)(ip.Tos | Ce));
            }
        }
        else if (Ipv6View.TryParse(packet, out Ipv6View ip6) && (ip6.TrafficClass & Ce) != 0)
        {
            ip6.ChangeTrafficClass((byte)(ip6.TrafficClass | Ce));
        }
    }
}
