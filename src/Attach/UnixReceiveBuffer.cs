using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

/// <summary>
/// The queue between us and the program's end of a pair. It is bounded as netlink and PF_KEY bound theirs, by SO_RCVBUF and what Linux would have
/// allocated. The kernel's own bound, SO_SNDBUF of our end, is raised where it comes first.
/// </summary>
/// <param name="ours">Our end.</param>
/// <param name="truesizes">What a length takes.</param>
/// <param name="limit"><c>sk->sk_rcvbuf</c>, bytes.</param>
/// <param name="countsNew">
/// Whether what comes counts (<c>netlink_attachskb</c>, <c>netlink_broadcast_deliver</c> since the fix of their overflow); else full is who is beyond
/// the limit already (<c>pfkey_broadcast_one</c>).
/// </param>
internal sealed class UnixReceiveBuffer(SafeFileHandle ours, Truesizes truesizes, int limit, bool countsNew) : IReceiveBuffer
{
    /// <summary><c>SOCK_MIN_RCVBUF</c>, include/net/sock.h.</summary>
    private const int MinLimit = 2304;
    private const int PruneAt = 256;
    private const int EAGAIN = (int)Errno.EAGAIN, EMSGSIZE = (int)Errno.EMSGSIZE, ENOBUFS = (int)Errno.ENOBUFS;
    private readonly Lock _gate = new();
    private readonly Queue<(int Size, ulong Source, int Charge)> _sent = [];
    private int _limit = limit;
    private long _sentBytes;
    private long _charged;
    private long _taken;
    private int _withSource;
    private bool _closed;

    /// <summary>How many datagrams the program has read.</summary>
    public long Taken
    {
        get
        {
            lock (_gate)
            {
                Prune();
                return _taken;
            }
        }
    }

    public bool IsEmpty
    {
        get
        {
            lock (_gate)
            {
                return _closed || SocketOptions.UnreadBytes(ours) == 0;
            }
        }
    }

    public bool IsClosed
    {
        get
        {
            lock (_gate)
            {
                return _closed || SeqpacketSocket.HasHungUp(ours);
            }
        }
    }

    public double FullnessWithout(int first)
    {
        lock (_gate)
        {
            Prune();
            return _closed ? 0 : (double)ChargedWithout(first) / _limit;
        }
    }

    public bool HasRoom(int allocated, int first)
    {
        lock (_gate)
        {
            Prune();
            return Fits(ChargedWithout(first), truesizes.InKernel(allocated));
        }
    }

    public ulong SourceOf(int place, ulong otherwise)
    {
        lock (_gate)
        {
            if (_withSource == 0 && otherwise == 0)
            {
                return 0;   // whichever it is
            }
            Prune();
            return place < _sent.Count ? _sent.ElementAt(place).Source : otherwise;
        }
    }

    public bool TryEnqueue(ReadOnlySpan<byte> datagram, ulong source = 0, int allocated = 0)
    {
        lock (_gate)
        {
            if (_closed)
            {
                return true;
            }
            int charge = truesizes.InKernel(Math.Max(allocated, datagram.Length));
            if (!Fits(_charged, charge))
            {
                Prune();   // what is reckoned as unread may have been read
                if (!Fits(_charged, charge))
                {
                    return false;
                }
            }
            return Enqueue(datagram, charge, source);
        }
    }

    public bool Enqueue(ReadOnlySpan<byte> datagram, int allocated)
    {
        lock (_gate)
        {
            return _closed || Enqueue(datagram, truesizes.InKernel(allocated), 0);
        }
    }

    /// <summary>Nothing more goes in: what is sent to a closed socket is lost without an error, as in Linux.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
        }
    }

    /// <summary>The program has set SO_RCVBUF (<c>__sock_set_rcvbuf</c>).</summary>
    public void SetLimit(int size)
    {
        lock (_gate)
        {
            _limit = Math.Max(Math.Min(size, int.MaxValue / 2) * 2, MinLimit);
        }
    }

    private bool Fits(long charged, int charge) => charged == 0 || (countsNew ? charged + charge : charged) <= _limit;

    private bool Enqueue(ReadOnlySpan<byte> datagram, int charge, ulong source)
    {
        int errno = SeqpacketSocket.TrySend(ours, datagram);
        if (errno is EAGAIN or EMSGSIZE)
        {
            // By our reckoning there is room.
            SocketOptions.SetSendBuffer(ours, SocketOptions.SendBufferSize(ours) + datagram.Length);
            errno = SeqpacketSocket.TrySend(ours, datagram);
        }
        if (errno is EAGAIN or EMSGSIZE or ENOBUFS)
        {
            return false;
        }
        if (errno == 0)
        {
            Note(datagram.Length, charge, source);
        }
        return true;   // EPIPE, ECONNRESET: the program has closed it and we are about to be told
    }

    private long ChargedWithout(int first)
    {
        long gone = 0;
        foreach (var (_, _, charge) in _sent)
        {
            if (first-- == 0)
            {
                break;
            }
            gone += charge;
        }
        return _charged - gone;
    }

    private void Note(int length, int charge, ulong source)
    {
        int size = truesizes.Of(length);
        _sent.Enqueue((size, source, charge));
        _sentBytes += size;
        _charged += charge;
        _withSource += source == 0 ? 0 : 1;
        if (_sent.Count >= PruneAt && (_sent.Count & (PruneAt - 1)) == 0)
        {
            Prune();
        }
    }

    /// <summary>Forgets what the program has read: it reads in order, so what is unread is the end of what was sent.</summary>
    private void Prune()
    {
        int unread = _closed ? 0 : SocketOptions.UnreadBytes(ours);
        while (_sentBytes > unread && _sent.TryDequeue(out var read))
        {
            _taken++;
            _sentBytes -= read.Size;
            _charged -= read.Charge;
            _withSource -= read.Source == 0 ? 0 : 1;
        }
    }
}
