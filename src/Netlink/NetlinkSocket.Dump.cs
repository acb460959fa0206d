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

    // Datagrams that wait unread. The program reads its own end of the queue, so the next part must be there before it asks for it.
    private const int PartsAhead = 2;

    private INetlinkDump? _dump;
    private NlMsgHdr _dumpRequest;
    private byte[]? _stalledPart;
    private bool _dumpUnread;
    private volatile int _partSize = GoodSize;

    public bool AwaitsReceiveSpace => _dump is not null || _stalledPart is not null || _dumpUnread;

    // netlink_recvmsg: nlk->max_recvmsg_len only grows, and with what is received alone; netlink_dump makes its parts as large.
    public void NoteReceive(ulong room)
    {
        if (room > (ulong)_partSize && _partSize < LargestPart && _buffer.UnreadDatagrams != 0)
        {
            _partSize = (int)Math.Min(room, LargestPart);
        }
    }

    /// <summary><c>__netlink_dump_start</c>: EBUSY while another is not read to its last part; else the first part is queued.</summary>
    public Errno StartDump(in NlMsgHdr request, INetlinkDump dump)
    {
        if (_dump is not null || _stalledPart is not null || (_dumpUnread && _buffer.UnreadDatagrams >= PartsAhead))
        {
            dump.Dispose();
            return Errno.EBUSY;
        }
        _dump = dump;
        _dumpRequest = request;
        _dumpUnread = false;
        Errno errno = dump.Start(_extAck);
        if (errno == Errno.None)
        {
            SendPart(dump);
        }
        else
        {
            // As in netlink_dump, what goes wrong here is told in the payload of NLMSG_DONE.
            FinishDump(errno);
        }
        return Errno.EINTR;
    }

    // As often as the reader has made room.
    private void ContinueDump()
    {
        if (_dump is null && _stalledPart is null && !_dumpUnread)
        {
            return;
        }
        // What was said about the request goes into NLMSG_DONE only where that is the whole answer.
        _extAck.Clear();
        while (TryUnstall() && _dump is { } dump && _buffer.UnreadDatagrams < PartsAhead)
        {
            SendPart(dump);
        }
        _dumpUnread &= _dump is not null || _buffer.UnreadDatagrams >= PartsAhead;
    }

    // netlink_dump
    private void SendPart(INetlinkDump dump)
    {
        int size = _partSize;
        using NlWriter writer = new(size + TypicalReply);
        FillPart(writer, dump, size);
        if (writer.Length == 0)
        {
            FinishDump(Errno.None);
            return;
        }
        _dumpUnread = true;
        EnqueuePart(writer.Written);
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

    // Parts of a dump are never lost: one that finds no room waits for the reader.
    private void EnqueuePart(ReadOnlySpan<byte> part)
    {
        if (!_buffer.TryEnqueue(part))
        {
            _stalledPart = part.ToArray();
        }
    }

    private bool TryUnstall()
    {
        if (_stalledPart is not { } part)
        {
            return true;
        }
        if (!_buffer.TryEnqueue(part) && _buffer.UnreadDatagrams != 0)
        {
            return false;
        }
        _stalledPart = null;
        return true;
    }

    private void EndDump()
    {
        _dump?.Dispose();
        _dump = null;
    }
}
