namespace Xfrmd.Linux;

/// <summary>
/// A client of nf_tables in the network namespace of the thread that made it: sends a <see cref="NetfilterBatch"/>, reads counters.
/// </summary>
public sealed class NetfilterClient : IDisposable
{
    private const ushort NFT_MSG_NEWRULE = (10 << 8) | 6, NFT_MSG_NEWOBJ = (10 << 8) | 18, NFT_MSG_GETOBJ = (10 << 8) | 19;
    private const int HeaderSize = 4, ENOENT = 2;
    private readonly NetlinkClient _netlink = new(NetlinkConstants.NETLINK_NETFILTER);
    private readonly NetlinkWriter _writer = new();

    /// <summary>Runs the transaction and clears it. Returns 0 or the kernel's error; then nothing of it was done.</summary>
    /// <param name="batch">The transaction.</param>
    /// <param name="onHandle">Takes id and handle of each rule that was added.</param>
    public int Commit(NetfilterBatch batch, Action<uint, ulong>? onHandle = null)
    {
        try
        {
            return _netlink.Exchange(batch.Finish(), reply =>
            {
                if (reply.Type == NFT_MSG_NEWRULE && onHandle is not null)
                {
                    onHandle(reply.Sequence, NetlinkReply.Be64(reply.Attribute(HeaderSize, 3)));
                }
            });
        }
        finally
        {
            batch.Clear();
        }
    }

    /// <summary>Packets that each named counter of the table has seen; empty where the table is not there.</summary>
    public IReadOnlyDictionary<string, long> ReadCounters(string table)
    {
        Dictionary<string, long> counters = [];
        _writer.Clear();
        _writer.BeginMessage(NFT_MSG_GETOBJ, NetlinkConstants.NLM_F_REQUEST | NetlinkConstants.NLM_F_DUMP, 1u);   // nfgenmsg { NFPROTO_INET }
        _writer.Text(1, table);
        _writer.EndMessage();
        int errno = _netlink.Exchange(_writer.Written, reply =>
        {
            if (reply.Type == NFT_MSG_NEWOBJ && NetlinkReply.Text(reply.Attribute(HeaderSize, 1)) == table)
            {
                ReadOnlySpan<byte> data = reply.Attribute(HeaderSize, 4);
                counters[NetlinkReply.Text(reply.Attribute(HeaderSize, 2))] = (long)NetlinkReply.Be64(NetlinkReply.Find(data, 2));
            }
        });
        return errno is 0 or ENOENT ? counters : throw new LinuxException(errno, "read netfilter counters");
    }

    public void Dispose() => _netlink.Dispose();
}
