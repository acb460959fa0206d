using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Attach;

/// <summary>
/// The queue between us and the program's end of a pair. The kernel bounds it by the memory that our end may have under way
/// (SO_SNDBUF), by the same rule as netlink bounds a receive queue (SO_RCVBUF): full is who has reached the limit already.
/// </summary>
internal sealed class UnixReceiveBuffer(SafeFileHandle ours, Truesizes truesizes) : IReceiveBuffer
{
    private const int PruneAt = 256;
    private const int EAGAIN = (int)Errno.EAGAIN, EMSGSIZE = (int)Errno.EMSGSIZE, ENOBUFS = (int)Errno.ENOBUFS;
    private readonly Lock _gate = new();
    private readonly Queue<(int Size, ulong Source, int Charge)> _sent = [];
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

    public double FullnessWithout(int first)
    {
        lock (_gate)
        {
            Prune();
            long gone = 0;
            foreach (var (_, _, charge) in _sent)
            {
                if (first-- == 0)
                {
                    break;
                }
                gone += charge;
            }
            return _closed ? 0 : (double)(_charged - gone) / Math.Max(SocketOptions.SendBufferSize(ours), 1);
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

    public bool TryEnqueue(ReadOnlySpan<byte> datagram, ulong source = 0, int charge = 0)
    {
        lock (_gate)
        {
            if (_closed)
            {
                return true;
            }
            int errno = SeqpacketSocket.TrySend(ours, datagram);
            if (errno == EMSGSIZE && SocketOptions.UnreadBytes(ours) == 0)
            {
                errno = SendOversized(datagram);
            }
            if (errno is EAGAIN or EMSGSIZE or ENOBUFS)
            {
                return false;
            }
            if (errno == 0)
            {
                int size = truesizes.Of(datagram);
                charge = Math.Max(charge, size);
                _sent.Enqueue((size, source, charge));
                _sentBytes += size;
                _charged += charge;
                _withSource += source == 0 ? 0 : 1;
                if (_sent.Count >= PruneAt && (_sent.Count & (PruneAt - 1)) == 0)
                {
                    Prune();
                }
            }
            return true;   // EPIPE, ECONNRESET: the program has closed it and we are about to be told
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

    /// <summary>The program has set SO_RCVBUF: the limit of the queue in memory. The kernel doubles it on both ends.</summary>
    public void SetLimit(int size)
    {
        lock (_gate)
        {
            SocketOptions.SetSendBuffer(ours, size);
        }
    }

    /// <summary>An empty netlink queue takes one datagram of any length; a unix socket none above SO_SNDBUF.</summary>
    private int SendOversized(ReadOnlySpan<byte> datagram)
    {
        int before = SocketOptions.SendBufferSize(ours);
        SocketOptions.SetSendBuffer(ours, datagram.Length);
        int errno = SeqpacketSocket.TrySend(ours, datagram);
        SocketOptions.SetSendBuffer(ours, before / 2);
        return errno;
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
