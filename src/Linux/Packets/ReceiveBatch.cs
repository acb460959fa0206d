using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux.Packets;

/// <summary>
/// What one recvmmsg(2) brings: messages in slots of one pinned array, with room before and behind each. A message longer than a slot goes
/// on in a long buffer of its own and is then put together there.
/// </summary>
public sealed class ReceiveBatch
{
    private const int ControlSize = 512, ControlHeader = 16, MSG_CTRUNC = 8, FlowLabelMask = 0xfffff;
    private const int MaxMessage = 65536, CacheLine = 64;
    private const int SOL_UDP = 17, UDP_GRO = 104, IPPROTO_IP = 0, IPPROTO_IPV6 = 41;
    private const int IP_PKTINFO = 8, IP_TOS = 1, IP_TTL = 2, IPV6_PKTINFO = 50, IPV6_TCLASS = 67, IPV6_HOPLIMIT = 52,
        IPV6_FLOWINFO = 11, IPV6_HOPOPTS = 54, IPV6_RTHDR = 57, IPV6_DSTOPTS = 59;
    private const int SOL_SOCKET = 1, SO_MARK = 36;
    private readonly int _headroom;
    private readonly int _slotSize;
    private readonly int _stride;
    private readonly byte[] _short;
    private readonly byte[]? _long;
    private readonly int _longStride;
    private readonly byte[] _names;
    private readonly byte[] _control;
    private readonly IoVector[] _vectors;
    private readonly MessageHeader[] _messages;
    private readonly int _vectorsPerMessage;
    private readonly bool _withSource;

    /// <param name="capacity">Messages.</param>
    /// <param name="slotSize">Bytes of a message that lie in its slot.</param>
    /// <param name="headroom">Bytes free before each.</param>
    /// <param name="tailroom">Bytes free behind each.</param>
    /// <param name="withSource">Ask for the sender; else <see cref="Source"/> is empty.</param>
    public ReceiveBatch(int capacity, int slotSize, int headroom, int tailroom, bool withSource = true)
    {
        _withSource = withSource;
        Capacity = capacity;
        _headroom = headroom;
        _slotSize = slotSize;
        _stride = (headroom + slotSize + tailroom + CacheLine - 1) & ~(CacheLine - 1);
        _short = PinnedArray.Create(capacity * _stride);
        _vectorsPerMessage = slotSize < MaxMessage ? 2 : 1;
        _longStride = headroom + MaxMessage + tailroom + CacheLine;
        _long = slotSize < MaxMessage ? PinnedArray.Create(capacity * _longStride) : null;   // touched only by long messages
        _names = PinnedArray.Create(capacity * SocketAddresses.MaxSize);
        _control = PinnedArray.Create(capacity * ControlSize);
        _vectors = PinnedArray.CreateZeroed<IoVector>(capacity * _vectorsPerMessage);
        _messages = PinnedArray.CreateZeroed<MessageHeader>(capacity);
        for (int i = 0; i < capacity; i++)
        {
            Prepare(i);
        }
    }

    public int Capacity { get; }

    public int Count { get; private set; }

    /// <summary>Receives without waiting: how many messages, or a negative errno.</summary>
    public unsafe int Receive(SafeFileHandle socket)
    {
        for (int i = 0; i < Count; i++)
        {
            _messages[i].NameLength = _withSource ? SocketAddresses.MaxSize : 0u;
            _messages[i].ControlLength = ControlSize;
        }
        Count = 0;
        int count = PacketCalls.ReceiveMessages(
            (int)socket.DangerousGetHandle(), PinnedArray.Pointer(_messages), (uint)Capacity, PacketCalls.MSG_DONTWAIT, 0);
        if (count < 0)
        {
            int errno = Libc.LastErrno;
            return errno is Libc.EAGAIN or Libc.EINTR ? 0 : -errno;
        }
        Count = count;
        return count;
    }

    /// <summary>Where a message lies: its array, its bytes, and the space around them that belongs to it.</summary>
    public void Locate(int index, out byte[] buffer, out int offset, out int length, out int floor, out int limit)
    {
        length = (int)_messages[index].Bytes;
        if (length <= _slotSize)
        {
            buffer = _short;
            floor = index * _stride;
            offset = floor + _headroom;
            limit = floor + _stride;
            return;
        }
        buffer = _long!;
        floor = index * _longStride;
        offset = floor + _headroom;
        limit = floor + _longStride;
        _short.AsSpan((index * _stride) + _headroom, _slotSize).CopyTo(buffer.AsSpan(offset));
    }

    /// <summary>The sender's <c>sockaddr</c>.</summary>
    public ReadOnlySpan<byte> Source(int index) => _names.AsSpan(index * SocketAddresses.MaxSize, Math.Min((int)_messages[index].NameLength, SocketAddresses.MaxSize));

    /// <summary>What the kernel said beside the bytes.</summary>
    public void ReadControl(int index, out ReceiveInfo info)
    {
        info = default;
        ReadOnlySpan<byte> rest = Control(index);
        while (TryNext(ref rest, out int level, out int type, out ReadOnlySpan<byte> data))
        {
            switch (level, type)
            {
                case (SOL_UDP, UDP_GRO) when data.Length >= 4:
                    info.SegmentSize = MemoryMarshal.Read<int>(data);
                    break;
                case (SOL_SOCKET, SO_MARK) when data.Length >= 4:
                    info.Mark = MemoryMarshal.Read<uint>(data);
                    break;
                case (IPPROTO_IP, IP_PKTINFO) when data.Length >= 12:
                    info.Destination = MemoryMarshal.Read<uint>(data[8..]);
                    info.Interface = MemoryMarshal.Read<int>(data);
                    break;
                case (IPPROTO_IPV6, IPV6_PKTINFO) when data.Length >= 20:
                    info.Destination = MemoryMarshal.Read<UInt128>(data);
                    info.Interface = MemoryMarshal.Read<int>(data[16..]);
                    break;
                case (IPPROTO_IP, IP_TOS) when data.Length >= 1:
                    info.TrafficClass = data[0];
                    break;
                case (IPPROTO_IP, IP_TTL) when data.Length >= 4:
                    info.HopLimit = (byte)MemoryMarshal.Read<int>(data);
                    break;
                case (IPPROTO_IPV6, IPV6_TCLASS) when data.Length >= 4:
                    info.TrafficClass = (byte)MemoryMarshal.Read<int>(data);
                    break;
                case (IPPROTO_IPV6, IPV6_HOPLIMIT) when data.Length >= 4:
                    info.HopLimit = (byte)MemoryMarshal.Read<int>(data);
                    break;
                case (IPPROTO_IPV6, IPV6_FLOWINFO) when data.Length >= 4:
                    info.FlowLabel = BinaryPrimitives.ReadUInt32BigEndian(data) & FlowLabelMask;
                    break;
                case (IPPROTO_IPV6, IPV6_HOPOPTS or IPV6_RTHDR or IPV6_DSTOPTS) when (_messages[index].Flags & MSG_CTRUNC) == 0:
                    if (info.ExtensionLength == 0)
                    {
                        info.FirstExtension = type switch { IPV6_HOPOPTS => 0, IPV6_RTHDR => 43, _ => 60 };
                    }
                    info.ExtensionLength += data.Length;
                    break;
            }
        }
    }

    /// <summary>Writes the IPv6 extension headers of a message, in their order.</summary>
    /// <param name="index">The message.</param>
    /// <param name="destination">Room for <see cref="ReceiveInfo.ExtensionLength"/>.</param>
    public void CopyExtensions(int index, Span<byte> destination)
    {
        ReadOnlySpan<byte> rest = Control(index);
        while (TryNext(ref rest, out int level, out int type, out ReadOnlySpan<byte> data))
        {
            if (level == IPPROTO_IPV6 && type is IPV6_HOPOPTS or IPV6_RTHDR or IPV6_DSTOPTS)
            {
                data.CopyTo(destination);
                destination = destination[data.Length..];
            }
        }
    }

    private ReadOnlySpan<byte> Control(int index) => _control.AsSpan(index * ControlSize, Math.Min((int)_messages[index].ControlLength, ControlSize));

    // CMSG_NXTHDR
    private static bool TryNext(ref ReadOnlySpan<byte> rest, out int level, out int type, out ReadOnlySpan<byte> data)
    {
        (level, type) = (0, 0);
        data = default;
        if (rest.Length < ControlHeader)
        {
            return false;
        }
        int length = (int)Math.Min(MemoryMarshal.Read<ulong>(rest), (ulong)rest.Length);
        if (length < ControlHeader)
        {
            return false;
        }
        level = MemoryMarshal.Read<int>(rest[8..]);
        type = MemoryMarshal.Read<int>(rest[12..]);
        data = rest[ControlHeader..length];
        rest = rest[Math.Min((length + 7) & ~7, rest.Length)..];
        return true;
    }

    private void Prepare(int index)
    {
        int vector = index * _vectorsPerMessage;
        _vectors[vector].Base = PinnedArray.AddressOf(_short, (index * _stride) + _headroom, _slotSize);
        _vectors[vector].Length = (nuint)_slotSize;
        if (_long is not null)
        {
            _vectors[vector + 1].Base = PinnedArray.AddressOf(_long, (index * _longStride) + _headroom + _slotSize, MaxMessage - _slotSize);
            _vectors[vector + 1].Length = (nuint)(MaxMessage - _slotSize);
        }
        ref MessageHeader message = ref _messages[index];
        if (_withSource)
        {
            message.Name = PinnedArray.AddressOf(_names, index * SocketAddresses.MaxSize, SocketAddresses.MaxSize);
            message.NameLength = SocketAddresses.MaxSize;
        }
        message.Control = PinnedArray.AddressOf(_control, index * ControlSize, ControlSize);
        message.ControlLength = ControlSize;
        message.VectorCount = (nuint)_vectorsPerMessage;
        unsafe
        {
            message.Vectors = (nint)(PinnedArray.Pointer(_vectors) + vector);
        }
    }
}
