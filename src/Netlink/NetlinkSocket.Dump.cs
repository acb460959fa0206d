using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

internal sealed partial class NetlinkSocket
{
    /// <summary>
    /// NLMSG_GOODSIZE where a page has 4096 bytes: the largest answer, and the largest part of a dump before anything is known of the program's
    /// buffer (what fits the buffers of strongSwan and of libnl without their asking for more).
    /// </summary>
    public const int GoodSize = 3776;

    // SKB_WITH_OVERHEAD(32768): more is not sent at once, however large the program's buffer is.
    private const int LargestPart = 32768 - 320;

    // netlink_recvmsg: no part is added to a queue that is fuller.
    private const double DumpGoesOn = 1.0 / 2;

    private INetlinkDump? _dump;
    private NlMsgHdr _dumpRequest;
    private volatile int _partSize = GoodSize;

    public bool AwaitsReceiveSpace => _dump is not null;

    /// <summary>
    /// <c>netlink_recvmsg</c>: nlk->max_recvmsg_len only grows, and with what is received alone; and each receive, be it a look at the first datagram,
    /// has the next part of a dump queued, which is as large. We are asked before it, Linux does it behind: the order of the queue is the same.
    /// </summary>
    public void NoteReceive(ulong room, int taken)
    {
        bool grows = room > (ulong)_partSize && _partSize < LargestPart;
        if ((!grows && !AwaitsReceiveSpace) || _buffer.IsEmpty)
        {
            return;
        }
        if (grows)
        {
            _partSize = (int)Math.Min(room, LargestPart);
        }
        lock (Gate)
        {
            if (_dump is { } dump && _buffer.FullnessWithout(taken) <= DumpGoesOn)
            {
                _extAck.Clear();   // what was said about the request goes into NLMSG_DONE only where that is the whole answer
                if (!TrySendPart(dump, taken))
                {
                    Interlocked.Exchange(ref _pendingError, (int)Errno.ENOBUFS);
                }
            }
        }
    }

    /// <summary>A receive that nobody told us of (the descriptor was passed on) has emptied the queue.</summary>
    public void OnReceiveSpace()
    {
        lock (Gate)
        {
            _extAck.Clear();
            while (_dump is { } dump && _buffer.IsEmpty)
            {
                _ = TrySendPart(dump, taken: 0);
            }
        }
    }

    /// <summary><c>__netlink_dump_start</c>: EBUSY while another is not read to its last part; else the first part is queued.</summary>
    public Errno StartDump(in NlMsgHdr request, INetlinkDump dump)
    {
        if (AwaitsReceiveSpace)
        {
            dump.Dispose();
            return Errno.EBUSY;
        }
        _dump = dump;
        _dumpRequest = request;
        Errno errno = dump.Start(_extAck);
        if (errno != Errno.None)
        {
            // As in netlink_dump, what goes wrong here is told in the payload of NLMSG_DONE.
            FinishDump(errno);
            return Errno.EINTR;
        }
        return TrySendPart(dump, taken: 0) ? Errno.EINTR : Errno.ENOBUFS;   // but it has begun
    }

    // netlink_dump. False: its memory has no room in the queue, and the dump waits for the reader.
    private bool TrySendPart(INetlinkDump dump, int taken)
    {
        int size = _partSize;
        if (!_buffer.HasRoom(size, taken))
        {
            return false;
        }
        using NlWriter writer = new(size + TypicalReply);
        FillPart(writer, dump, size);
        if (writer.Length == 0)
        {
            FinishDump(Errno.None);
        }
        else
        {
            EnqueuePart(writer.Written);
        }
        return true;
    }

    private void FillPart(NlWriter writer, INetlinkDump dump, int size)
    {
        for (; ; )
        {
            int before = writer.Length;
            if (!dump.TryWriteNext(writer, _dumpRequest.Seq, _port))
            {
                return;
            }
            // One that fits no part at all ends the dump: an empty part is its last.
            if (writer.Length > size)
            {
                writer.Truncate(before);
                return;
            }
            dump.Advance();
        }
    }

    // netlink_dump_done: in a datagram of its own.
    private void FinishDump(Errno errno)
    {
        EndDump();
        using NlWriter writer = new(TypicalReply);
        int start = writer.BeginMessage(NlMsgType.Done, NlMsgFlags.Multi, _dumpRequest.Seq, _port);
        writer.PutRaw(-(int)errno);
        if (WriteExtAck(writer, errno))
        {
            writer.SetFlags(start, NlMsgFlags.Multi | NlMsgFlags.AckTlvs);
        }
        writer.EndMessage(start);
        EnqueuePart(writer.Written);
    }

    // A part has all the memory that there is for one, however little it fills. A dump that the machine has no room for ends with an error.
    private void EnqueuePart(ReadOnlySpan<byte> part)
    {
        if (!_buffer.Enqueue(part, _partSize))
        {
            EndDump();
            Interlocked.Exchange(ref _pendingError, (int)Errno.ENOBUFS);
        }
    }

    private void EndDump()
    {
        _dump?.Dispose();
        _dump = null;
    }
}
