using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

/// <summary>One PF_KEY socket. Mirrors <c>struct pfkey_sock</c>. Files: PfKeySocket.cs requests and answers, .Dump.cs dumps.</summary>
internal sealed partial class PfKeySocket : IProtocolSocket
{
    // pfkey_sendmsg: sk_sndbuf less its overhead; net.core.wmem_default.
    private const int MaxDatagram = 212992 - 32;

    // What af_key.c allocates more than a message takes.
    private const int Spare = 16;
    private readonly PfKeyNamespace _namespace;
    private readonly IReceiveBuffer _buffer;
    private uint _registered;
    private bool _disposed;
    private bool _isMuted;

    public PfKeySocket(PfKeyNamespace space, IReceiveBuffer buffer)
    {
        _namespace = space;
        _buffer = buffer;
        lock (Gate)
        {
            _namespace.Add(this);
        }
    }

    /// <summary>Registered for a type of SA, whichever.</summary>
    public bool IsRegistered => _registered != 0;

    /// <summary>The program has closed it; it is about to be disposed of.</summary>
    public bool IsClosed => _buffer.IsClosed;

    /// <summary>Gets a copy of all that passes (X_PROMISC).</summary>
    public bool IsPromiscuous { get; set; }

    public bool AwaitsReceiveSpace => IsDumping;

    private Lock Gate => _namespace.Space.Gate;

    /// <summary><c>pfkey_sendmsg</c>. An address is not looked at.</summary>
    public Errno Send(ReadOnlySpan<byte> datagram, ReadOnlySpan<byte> address, in Caller caller)
    {
        if (datagram.Length > MaxDatagram)
        {
            return Errno.EMSGSIZE;
        }
        Errno errno = SadbMessage.TryRead(datagram, out SadbMessage message);
        if (errno != Errno.None)
        {
            return errno;
        }
        FaultSubject asked = new(IsPfKey: true, IsEvent: false, (ushort)message.Header.Type);
        Faults faults = _namespace.Space.Faults;
        faults.Wait(asked);
        lock (Gate)
        {
            if (_disposed)
            {
                return Errno.EBADF;
            }
            FaultRule? fault = faults.Find(asked);
            _isMuted = fault is { Kind: FaultKind.Lose };
            errno = fault switch
            {
                { Kind: FaultKind.Refuse } => fault.Errno,
                // What a dump says comes in parts, as they are read: it does not begin.
                not null when message.Header.Type is SadbType.Dump or SadbType.XSpdDump => Errno.None,
                _ => _namespace.Handler.Handle(this, ref message),
            };
            if (errno != Errno.None)
            {
                ReplyError(message.Header, errno);
            }
            _isMuted = false;
            return Errno.None;
        }
    }

    public void OnReceiveSpace()
    {
        lock (Gate)
        {
            ResumeDump();
        }
    }

    // sock_no_bind, sock_no_connect, sock_no_getname; setsockopt and getsockopt are missing from pfkey_ops.
    public Errno Bind(ReadOnlySpan<byte> address, in Caller caller) => Errno.EOPNOTSUPP;

    public Errno Connect(ReadOnlySpan<byte> address, in Caller caller) => Errno.EOPNOTSUPP;

    public Errno GetSocketName(Span<byte> address, out int written)
    {
        written = 0;
        return Errno.EOPNOTSUPP;
    }

    public Errno GetPeerName(Span<byte> address, out int written)
    {
        written = 0;
        return Errno.EOPNOTSUPP;
    }

    public Errno SetOption(int level, int name, ReadOnlySpan<byte> value, in Caller caller) => Errno.EOPNOTSUPP;

    public Errno GetOption(int level, int name, Span<byte> value, out int written)
    {
        written = 0;
        return Errno.EOPNOTSUPP;
    }

    public int GetReceiveAddress(Span<byte> address, int place) => 0;

    // pfkey_broadcast_one: a full queue loses the message, and nobody is told.
    public Errno TakePendingError() => Errno.None;

    public void Dispose()
    {
        lock (Gate)
        {
            if (!_disposed)
            {
                _disposed = true;
                EndDump();
                _namespace.Remove(this);
            }
        }
    }

    /// <summary>False where it was registered for that type already.</summary>
    public bool TryRegister(SadbSatype satype)
    {
        uint bit = 1u << (int)satype;
        if ((_registered & bit) != 0)
        {
            return false;
        }
        _registered |= bit;
        return true;
    }

    /// <summary><c>pfkey_broadcast_one</c>.</summary>
    public bool Receive(ReadOnlySpan<byte> message)
    {
        _namespace.Space.Observers.Settle();
        return _isMuted || _buffer.TryEnqueue(message, allocated: message.Length + Spare);
    }

    // pfkey_error
    private void ReplyError(SadbMsg header, Errno errno)
    {
        header.Errno = (byte)errno;
        using PfKeyWriter writer = new(header);
        writer.Complete();
        _namespace.SendToOne(this, writer.Written);
    }
}
