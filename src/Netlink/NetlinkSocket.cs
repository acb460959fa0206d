using System.Buffers;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

/// <summary>
/// One NETLINK_XFRM socket. Mirrors <c>struct netlink_sock</c> and net/netlink/af_netlink.c. Files: NetlinkSocket.cs receives requests and
/// sends answers, .Address.cs names and ports, .Options.cs socket options, .Dump.cs dumps.
/// </summary>
internal sealed partial class NetlinkSocket : IProtocolSocket
{
    // netlink_sendmsg: sk_sndbuf less its overhead; net.core.wmem_default.
    private const int MaxDatagram = 212992 - 32;
    private const int TypicalReply = 512;
    private readonly NetlinkNamespace _namespace;
    private readonly IReceiveBuffer _buffer;
    private readonly Caller _opener;
    private readonly ExtAck _extAck = new();
    private readonly Lock _arrivals = new();   // datagrams may come from other namespaces, under their gates
    private bool _congested;
    private bool _disposed;
    private bool _isMuted;
    private int _pendingError;

    public NetlinkSocket(NetlinkNamespace space, IReceiveBuffer buffer, in Caller opener)
    {
        _namespace = space;
        _buffer = buffer;
        _opener = opener;
    }

    /// <summary>The program has closed it; it is about to be disposed of.</summary>
    public bool IsClosed => _buffer.IsClosed;

    private Lock Gate => _namespace.Space.Gate;

    private Faults Faults => _namespace.Space.Faults;

    /// <summary><c>netlink_sendmsg</c>.</summary>
    public Errno Send(ReadOnlySpan<byte> datagram, ReadOnlySpan<byte> address, in Caller caller)
    {
        if (!Faults.IsEmpty)
        {
            AwaitFaults(datagram);
        }
        lock (Gate)
        {
            if (_disposed)
            {
                return Errno.EBADF;
            }
            if (datagram.IsEmpty)
            {
                return Errno.ENODATA;
            }
            SockAddrNl destination = _peer;
            if (!address.IsEmpty)
            {
                if (!MemoryMarshal.TryRead(address, out destination) || destination.Family != SockAddrNl.AfNetlink)
                {
                    return Errno.EINVAL;
                }
                if ((destination.Pid | destination.Groups) != 0 && !caller.NetAdmin)
                {
                    return Errno.EPERM;
                }
            }
            BindAny(caller);
            if (datagram.Length > MaxDatagram)
            {
                return Errno.EMSGSIZE;
            }
            // Only the lowest group counts: dst_group = ffs(nl_groups).
            XfrmGroup group = destination.Groups == 0 ? default : (XfrmGroup)(System.Numerics.BitOperations.TrailingZeroCount(destination.Groups) + 1);
            if (group != default)
            {
                _namespace.Forward(group, datagram, this, destination.Pid);
            }
            if (destination.Pid != 0)
            {
                if (_namespace.AtPort(destination.Pid) is not { } other || !other.TakesFrom(_port))
                {
                    return Errno.ECONNREFUSED;
                }
                return other.TryReceive(datagram, group, _port) ? Errno.None : Errno.EAGAIN;
            }
            // netlink_net_capable: where an address was given, the opener's right counts as well.
            // A copy: the kernel works in the message that it got, and what it writes there shows where an error echoes it.
            byte[] copy = ArrayPool<byte>.Shared.Rent(datagram.Length);
            datagram.CopyTo(copy);
            ReceiveRequests(copy.AsSpan(0, datagram.Length), caller.NetAdmin && (address.IsEmpty || _opener.NetAdmin));
            copy.AsSpan(0, datagram.Length).Clear();   // keys
            ArrayPool<byte>.Shared.Return(copy);
            return Errno.None;
        }
    }

    public Errno TakePendingError() => (Errno)Interlocked.Exchange(ref _pendingError, 0);

    public void Dispose()
    {
        lock (Gate)
        {
            if (_disposed)
            {
                return;
            }
            _disposed = true;
            EndDump();
            SetLowGroups(0);
            if (_listenAllNsid)
            {
                _namespace.Widen(this, listens: false);
            }
            if (_bound)
            {
                _namespace.Release(_port, this);
            }
        }
    }

    /// <summary><c>netlink_sendskb</c> to this socket; a full queue loses the datagram and is told once (<c>netlink_overrun</c>).</summary>
    public void Receive(ReadOnlySpan<byte> datagram, XfrmGroup group, uint port = 0)
    {
        _namespace.Space.Observers.Settle();
        Queue(datagram, Source(group, port, null));
    }

    /// <summary>From another program, who is told that the queue is full (<c>netlink_attachskb</c>).</summary>
    private bool TryReceive(ReadOnlySpan<byte> datagram, XfrmGroup group, uint port)
    {
        lock (_arrivals)
        {
            return TryQueue(datagram, Source(group, port, null));
        }
    }

    /// <summary>The same for what happens in a namespace that its own knows by a number. The gate of that one is held.</summary>
    public void ReceiveFromAfar(ReadOnlySpan<byte> datagram, XfrmGroup group, uint port, int number) => Queue(datagram, Source(group, port, number));

    /// <summary>Whether it is told of a group of another namespace (<c>do_one_broadcast</c>), where its own has a number for that.</summary>
    public bool HearsOf(NetlinkNamespace other, XfrmGroup group) =>
        other != _namespace && (Volatile.Read(ref _groups) >> ((int)group - 1) & 1) != 0 && _opener.NetBroadcast;

    /// <summary>The number by which its namespace knows another one.</summary>
    public int? NumberOf(NetlinkNamespace other) => _namespace.Space.NumberOf(other.Space);

    /// <summary>An answer to this socket alone, which is lost where it is connected to a program.</summary>
    public void Reply(ReadOnlySpan<byte> datagram)
    {
        if (TakesFrom(0) && !_isMuted)
        {
            Receive(datagram, default);
        }
    }

    private void Queue(ReadOnlySpan<byte> datagram, ulong source)
    {
        lock (_arrivals)
        {
            if (!TryQueue(datagram, source) && !_noEnobufs && !_congested)
            {
                _congested = true;
                Interlocked.Exchange(ref _pendingError, (int)Errno.ENOBUFS);
            }
        }
    }

    // NETLINK_S_CONGESTED, until all is read. Under _arrivals.
    private bool TryQueue(ReadOnlySpan<byte> datagram, ulong source)
    {
        if (_congested && _buffer.IsEmpty)
        {
            _congested = false;
        }
        return !_congested && _buffer.TryEnqueue(datagram, source);
    }

    // netlink_rcv_skb
    private void ReceiveRequests(Span<byte> datagram, bool netAdmin)
    {
        _namespace.Space.Observers.BeginRow();
        try
        {
            HandleRequests(datagram, netAdmin);
        }
        finally
        {
            _namespace.Space.Observers.EndRow();
        }
    }

    private void HandleRequests(Span<byte> rest, bool netAdmin)
    {
        while (TryNext(rest, out NlMsgHdr header, out int next))
        {
            Span<byte> message = rest[..(int)header.Len];
            _extAck.Clear();
            Errno errno = Errno.None;
            if ((header.Flags & NlMsgFlags.Request) != 0 && header.Type >= NlMsgType.Min)
            {
                errno = Handle(header, message, netAdmin);
            }
            // EINTR: a dump was started, whose end is the answer.
            if (errno != Errno.EINTR && (errno != Errno.None || (header.Flags & NlMsgFlags.Ack) != 0))
            {
                Acknowledge(header, message, errno);
            }
            _isMuted = false;
            rest = rest[next..];
        }
    }

    // nlmsg_ok, nlmsg_next
    private static bool TryNext(ReadOnlySpan<byte> rest, out NlMsgHdr header, out int next)
    {
        bool isWhole = MemoryMarshal.TryRead(rest, out header) && header.Len >= NlMsgHdr.Size && header.Len <= rest.Length;
        next = isWhole ? Math.Min(NlAttr.Align((int)header.Len), rest.Length) : 0;
        return isWhole;
    }

    private Errno Handle(in NlMsgHdr header, Span<byte> message, bool netAdmin)
    {
        FaultRule? fault = Faults.Find(Asked(header.Type));
        if (fault is { Kind: FaultKind.Refuse })
        {
            _extAck.Say("xfrmd fault " + fault.Text);
            return fault.Errno;
        }
        _isMuted = fault is not null;
        // What a dump says comes in parts, as they are read: it does not begin.
        return _isMuted && (header.Flags & NlMsgFlags.Dump) != 0 ? Errno.EINTR : _namespace.Handler.Handle(this, header, message, netAdmin, _extAck);
    }

    private void AwaitFaults(ReadOnlySpan<byte> rest)
    {
        while (TryNext(rest, out NlMsgHdr header, out int next))
        {
            Faults.Wait(Asked(header.Type));
            rest = rest[next..];
        }
    }

    private static FaultSubject Asked(ushort type) => new(IsPfKey: false, IsEvent: false, type);

    // netlink_ack
    private void Acknowledge(in NlMsgHdr header, ReadOnlySpan<byte> message, Errno errno)
    {
        using NlWriter writer = new(TypicalReply);
        bool capped = errno == Errno.None || _capAck;
        int start = writer.BeginMessage(NlMsgType.Error, NlMsgFlags.None, header.Seq, _port);
        writer.PutRaw(-(int)errno);
        writer.PutRaw(capped ? message[..NlMsgHdr.Size] : message);
        NlMsgFlags flags = capped ? NlMsgFlags.Capped : NlMsgFlags.None;
        if (WriteExtAck(writer, errno))
        {
            flags |= NlMsgFlags.AckTlvs;
        }
        writer.SetFlags(start, flags);
        writer.EndMessage(start);
        Reply(writer.Written);
    }

    // netlink_ack_tlv_fill. False where there is nothing to say.
    private bool WriteExtAck(NlWriter writer, Errno errno)
    {
        if (!_extAckOption || _extAck.IsEmpty)
        {
            return false;
        }
        int before = writer.Length;
        if (_extAck.Message is { } text)
        {
            System.Text.Encoding.ASCII.GetBytes(text, writer.Attribute((ushort)NlMsgErrAttr.Msg, text.Length + 1));
        }
        if (errno != Errno.None)
        {
            if (_extAck.Offset is { } offset)
            {
                writer.Put((ushort)NlMsgErrAttr.Offs, (uint)offset);
            }
            if (_extAck.Policy is { } policy)
            {
                policy.WriteTo(writer);
            }
        }
        return writer.Length != before;
    }
}
