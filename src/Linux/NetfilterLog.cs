using System.Buffers.Binary;

namespace Xfrmd.Linux;

/// <summary>
/// Listens to one group of nfnetlink_log in the network namespace of the thread that makes it: the packets that rules show to it. Layouts:
/// uapi/linux/netfilter/nfnetlink_log.h. Not thread-safe.
/// </summary>
public sealed class NetfilterLog : IDisposable
{
    private const ushort NFULNL_MSG_PACKET = (4 << 8) | 0, NFULNL_MSG_CONFIG = (4 << 8) | 1;
    private const ushort NFULA_CFG_CMD = 1, NFULA_CFG_MODE = 2, NFULA_CFG_NLBUFSIZ = 3, NFULA_CFG_QTHRESH = 5;
    private const ushort NFULA_MARK = 2, NFULA_PAYLOAD = 9, NFULA_PREFIX = 10;
    private const byte NFULNL_CFG_CMD_BIND = 1, NFULNL_COPY_PACKET = 2;
    private const int HeaderSize = 4, MessageSize = 512;
    private readonly NetlinkClient _netlink = new(NetlinkConstants.NETLINK_NETFILTER);

    /// <param name="group">Which; one program at a time listens to it.</param>
    /// <param name="length">How much of each packet is shown.</param>
    /// <exception cref="LinuxException">EPERM, EBUSY: another program listens; EINVAL: there is no nfnetlink_log.</exception>
    public NetfilterLog(ushort group, byte length)
    {
        NetlinkWriter writer = new();
        writer.BeginMessage(NFULNL_MSG_CONFIG, NetlinkConstants.NLM_F_REQUEST | NetlinkConstants.NLM_F_ACK, FamilyHeader(group));   // nfgenmsg
        writer.Bytes(NFULA_CFG_CMD, [NFULNL_CFG_CMD_BIND]);
        writer.Bytes(NFULA_CFG_MODE, [0, 0, 0, length, NFULNL_COPY_PACKET, 0]);
        writer.Be32(NFULA_CFG_NLBUFSIZ, MessageSize);
        writer.Be32(NFULA_CFG_QTHRESH, 1);   // each packet is told at once
        writer.EndMessage();
        int errno = _netlink.Exchange(writer.Written);
        if (errno != 0)
        {
            _netlink.Dispose();
            throw new LinuxException(errno, "bind nfnetlink_log");
        }
    }

    /// <summary><c>struct nfgenmsg</c>: family and version 0, res_id the group in network byte order.</summary>
    private static uint FamilyHeader(ushort group) => (uint)BinaryPrimitives.ReverseEndianness(group) << 16;

    /// <summary>Called with each packet: the rule's prefix, the packet's mark, its first bytes from the IP header on.</summary>
    public delegate void Visitor(string prefix, uint mark, ReadOnlySpan<byte> packet);

    /// <summary>Shows what has come; what came faster than it was read is lost.</summary>
    public void Drain(Visitor visit) => _netlink.Receive(message =>
    {
        if (message.Type == NFULNL_MSG_PACKET)
        {
            visit(NetlinkReply.Text(message.Attribute(HeaderSize, NFULA_PREFIX)), NetlinkReply.Be32(message.Attribute(HeaderSize, NFULA_MARK)), message.Attribute(HeaderSize, NFULA_PAYLOAD));
        }
    });

    public void Dispose() => _netlink.Dispose();
}
