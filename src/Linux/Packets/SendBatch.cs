using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux.Packets;

/// <summary>
/// Messages that one sendmmsg(2) sends, each gathered from parts of pinned arrays, with its destination and control messages.
/// </summary>
public sealed class SendBatch
{
    private const int ControlSize = 192;
    private const int SOL_UDP = 17, UDP_SEGMENT = 103, IPPROTO_IP = 0, IPPROTO_IPV6 = 41;
    private const int IP_PKTINFO = 8, IP_TOS = 1, IP_TTL = 2, IPV6_PKTINFO = 50, IPV6_TCLASS = 67, IPV6_HOPLIMIT = 52, IPV6_FLOWINFO = 11;
    private const int SOL_SOCKET = 1, SO_MARK = 36;
    private readonly byte[] _names;
    private readonly byte[] _control;
    private readonly IoVector[] _vectors;
    private readonly MessageHeader[] _messages;
    private int _vectorCount;

    /// <param name="messages">Messages at most.</param>
    /// <param name="vectors">Parts of all messages together.</param>
    public SendBatch(int messages, int vectors)
    {
        _names = PinnedArray.Create(messages * SocketAddresses.MaxSize);
        _control = PinnedArray.Create(messages * ControlSize);
        _vectors = PinnedArray.CreateZeroed<IoVector>(vectors);
        _messages = PinnedArray.CreateZeroed<MessageHeader>(messages);
        for (int i = 0; i < messages; i++)
        {
            _messages[i].Name = PinnedArray.AddressOf(_names, i * SocketAddresses.MaxSize, SocketAddresses.MaxSize);
        }
    }

    public int Count { get; private set; }

    /// <summary>Another message with another part fits.</summary>
    public bool HasRoom => Count < _messages.Length && _vectorCount < _vectors.Length;

    public void Clear() => (Count, _vectorCount) = (0, 0);

    /// <summary>Begins a message to an address (4 or 16 bytes).</summary>
    public unsafe void Begin(ReadOnlySpan<byte> address, ushort port)
    {
        ref MessageHeader message = ref _messages[Count];
        message.NameLength = (uint)SocketAddresses.Write(_names.AsSpan(Count * SocketAddresses.MaxSize), address, port);
        message.Vectors = (nint)(PinnedArray.Pointer(_vectors) + _vectorCount);
        message.VectorCount = 0;
        message.Control = 0;
        message.ControlLength = 0;
        Count++;
    }

    /// <summary>Begins a message to a <see cref="LinkAddress"/>.</summary>
    public unsafe void Begin(ReadOnlySpan<byte> linkAddress)
    {
        ref MessageHeader message = ref _messages[Count];
        linkAddress.CopyTo(_names.AsSpan(Count * SocketAddresses.MaxSize));
        message.NameLength = (uint)linkAddress.Length;
        message.Vectors = (nint)(PinnedArray.Pointer(_vectors) + _vectorCount);
        message.VectorCount = 0;
        message.Control = 0;
        message.ControlLength = 0;
        Count++;
    }

    /// <summary>Adds bytes to the message that was begun last.</summary>
    public void Append(byte[] pinned, int offset, int length)
    {
        ref IoVector vector = ref _vectors[_vectorCount++];
        vector.Base = PinnedArray.AddressOf(pinned, offset, length);
        vector.Length = (nuint)length;
        _messages[Count - 1].VectorCount++;
    }

    /// <summary>UDP_SEGMENT: the last message is cut into datagrams of this size.</summary>
    public void SetSegmentSize(ushort size) => AddControl(SOL_UDP, UDP_SEGMENT, MemoryMarshal.AsBytes(new ReadOnlySpan<ushort>(in size)));

    /// <summary>The local address (4 or 16 bytes) that the last message is sent from.</summary>
    public void SetSource(ReadOnlySpan<byte> address)
    {
        Span<byte> info = stackalloc byte[20];
        info.Clear();
        if (address.Length == 4)
        {
            address.CopyTo(info[4..]);
            AddControl(IPPROTO_IP, IP_PKTINFO, info[..12]);
        }
        else
        {
            address.CopyTo(info);
            AddControl(IPPROTO_IPV6, IPV6_PKTINFO, info);
        }
    }

    /// <summary>TOS or traffic class of the last message.</summary>
    public void SetTrafficClass(byte value, bool v6)
    {
        int wide = value;
        AddControl(v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in wide)));
    }

    /// <summary>TTL or hop limit of the last message.</summary>
    public void SetHopLimit(byte value, bool v6)
    {
        int wide = value;
        AddControl(v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_HOPLIMIT : IP_TTL, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in wide)));
    }

    /// <summary>IPv6 flow label of the last message.</summary>
    public void SetFlowLabel(uint label)
    {
        uint wire = BinaryPrimitives.ReverseEndianness(label);
        AddControl(IPPROTO_IPV6, IPV6_FLOWINFO, MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in wire)));
    }

    /// <summary>The mark of the last message, in place of its socket's.</summary>
    public void SetMark(uint mark) => AddControl(SOL_SOCKET, SO_MARK, MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in mark)));

    /// <summary>Sends from message <paramref name="first"/> on: how many went, or a negative errno for the first of them.</summary>
    public unsafe int Send(SafeFileHandle socket, int first)
    {
        for (; ; )
        {
            int count = PacketCalls.SendMessages(
                (int)socket.DangerousGetHandle(), PinnedArray.Pointer(_messages) + first, (uint)(Count - first), PacketCalls.MSG_NOSIGNAL);
            if (count >= 0)
            {
                return count;
            }
            int errno = Libc.LastErrno;
            if (errno != Libc.EINTR)
            {
                return -errno;
            }
        }
    }

    private void AddControl(int level, int type, ReadOnlySpan<byte> data)
    {
        ref MessageHeader message = ref _messages[Count - 1];
        int start = (Count - 1) * ControlSize, at = start + (int)message.ControlLength;
        if (message.ControlLength == 0)
        {
            message.Control = PinnedArray.AddressOf(_control, start, ControlSize);
        }
        ulong length = 16 + (ulong)data.Length;
        Span<byte> control = _control.AsSpan(at, ControlSize - (at - start));
        MemoryMarshal.Write(control, in length);
        MemoryMarshal.Write(control[8..], in level);
        MemoryMarshal.Write(control[12..], in type);
        data.CopyTo(control[16..]);
        message.ControlLength += (nuint)((16 + data.Length + 7) & ~7);
    }
}
