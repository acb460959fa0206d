using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using Xfrmd.Linux.Bpf;

namespace Xfrmd.Linux.Routing;

/// <summary>
/// Reads what decides over a packet's way in the network namespace of the thread that made it: rules, routes, links, neighbours, netfilter
/// chains. Changes nothing. Not thread-safe.
/// </summary>
public sealed class NetworkSurvey : IDisposable
{
    private const ushort RTM_NEWLINK = 16, RTM_GETLINK = 18, RTM_NEWROUTE = 24, RTM_GETROUTE = 26, RTM_NEWNEIGH = 28, RTM_GETNEIGH = 30,
        RTM_NEWRULE = 32, RTM_GETRULE = 34, RTM_NEWQDISC = 36, RTM_GETQDISC = 38;
    private const ushort IFLA_ADDRESS = 1, IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_LINK = 5, IFLA_MASTER = 10, IFLA_LINKINFO = 18, IFLA_INFO_KIND = 1, IFLA_EXT_MASK = 29, IFLA_LINK_NETNSID = 37;
    private const ushort RTA_DST = 1, RTA_SRC = 2, RTA_OIF = 4, RTA_GATEWAY = 5, RTA_MULTIPATH = 9, RTA_MARK = 16, RTA_VIA = 18, RTA_ENCAP = 22, RTA_NH_ID = 30;
    private const ushort NDA_DST = 1, NDA_LLADDR = 2, TCA_KIND = 1;
    private const ushort FRA_DST = 1, FRA_SRC = 2, FRA_IIFNAME = 3, FRA_GOTO = 4, FRA_PRIORITY = 6, FRA_FWMARK = 10, FRA_SUPPRESS_IFGROUP = 13,
        FRA_SUPPRESS_PREFIXLEN = 14, FRA_TABLE = 15, FRA_FWMASK = 16, FRA_OIFNAME = 17, FRA_PAD = 18, FRA_PROTOCOL = 21;
    private const ushort NFT_MSG_NEWCHAIN = (10 << 8) | 3, NFT_MSG_GETCHAIN = (10 << 8) | 4;
    private const ushort NFTA_CHAIN_TABLE = 1, NFTA_CHAIN_HOOK = 4, NFTA_CHAIN_POLICY = 5, NFTA_CHAIN_USE = 6, NFTA_HOOK_HOOKNUM = 1;
    private const byte NFPROTO_INET = 1, NFPROTO_IPV4 = 2, NFPROTO_NETDEV = 5, NFPROTO_IPV6 = 10;
    private const uint NF_ACCEPT = 1, NF_INET_INGRESS = 5, NF_NETDEV_INGRESS = 0, TC_H_ROOT = 0xFFFFFFFF;
    private const uint RTM_F_FIB_MATCH = 0x2000, RTEXT_FILTER_SKIP_STATS = 8;
    private const byte AF_INET = 2, AF_INET6 = 10;
    private const int NfHeaderSize = 4, EAFNOSUPPORT = 97, EOPNOTSUPP = 95;
    private readonly NetlinkClient _netlink = new(NetlinkConstants.NETLINK_ROUTE);
    private readonly NetlinkClient _netfilter = new(NetlinkConstants.NETLINK_NETFILTER);
    private readonly NetlinkWriter _writer = new();

    /// <summary>
    /// Whether every rule of the family selects by what a query can say (addresses, mark, interface): not by TOS, ports, protocol or user.
    /// </summary>
    public bool HasPlainRules(bool ipv6)
    {
        bool plain = true;
        Begin(RTM_GETRULE, NetlinkConstants.NLM_F_DUMP, new RuleHeader { Family = ipv6 ? AF_INET6 : AF_INET });
        int errno = End(reply =>
        {
            if (reply.Type == RTM_NEWRULE)
            {
                plain &= reply.Body.Length >= Marshal.SizeOf<RuleHeader>() && MemoryMarshal.Read<RuleHeader>(reply.Body).Tos == 0
                    && HasOnly(reply.Body[Marshal.SizeOf<RuleHeader>()..], [FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_GOTO, FRA_PRIORITY, FRA_FWMARK,
                        FRA_SUPPRESS_IFGROUP, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME, FRA_PAD, FRA_PROTOCOL]);
            }
        });
        return plain && errno is 0 or EAFNOSUPPORT or EOPNOTSUPP;
    }

    /// <summary>Where a packet with this mark goes that this host sends; null where it goes nowhere.</summary>
    /// <param name="destination">4 or 16 bytes.</param>
    /// <param name="source">As many, or empty.</param>
    /// <param name="mark">Its mark.</param>
    public RouteFacts? FindRoute(ReadOnlySpan<byte> destination, ReadOnlySpan<byte> source, uint mark)
    {
        // The answer tells the next hop, redirects included; the entry of the table tells whether there are others beside it.
        return AskRoute(destination, source, mark, 0) is { } answer && AskRoute(destination, source, mark, RTM_F_FIB_MATCH) is { } entry
            ? answer with { IsPlain = answer.IsPlain && entry.IsPlain }
            : null;
    }

    /// <summary>All links of the namespace by their index.</summary>
    public Dictionary<int, LinkFacts> ReadLinks()
    {
        Dictionary<int, LinkFacts> links = [];
        HashSet<int> lower = [];
        Begin(RTM_GETLINK, NetlinkConstants.NLM_F_DUMP, default(LinkHeader));
        _writer.Host32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        _ = End(reply =>
        {
            int size = Marshal.SizeOf<LinkHeader>();
            if (reply.Type != RTM_NEWLINK || reply.Body.Length < size)
            {
                return;
            }
            LinkHeader header = MemoryMarshal.Read<LinkHeader>(reply.Body);
            links[header.Index] = new LinkFacts
            {
                Station = reply.Attribute(size, IFLA_ADDRESS).ToArray(),
                Kind = NetlinkReply.Text(NetlinkReply.Find(reply.Attribute(size, IFLA_LINKINFO), IFLA_INFO_KIND)),
                Name = NetlinkReply.Text(reply.Attribute(size, IFLA_IFNAME)),
                Type = header.Type,
                Flags = header.Flags,
                Mtu = (int)NetlinkReply.Host32(reply.Attribute(size, IFLA_MTU)),
                HasMaster = !reply.Attribute(size, IFLA_MASTER).IsEmpty,
            };
            // A veth names its other end there, which is no upper link; in another namespace it has that namespace's number beside it.
            if (reply.Attribute(size, IFLA_LINK_NETNSID).IsEmpty && NetlinkReply.Host32(reply.Attribute(size, IFLA_LINK)) is not 0 and uint link)
            {
                lower.Add((int)link);
            }
        });
        (HashSet<int> watched, HashSet<int> queueless) = ReadQdiscs();
        foreach (int index in lower.Union(watched).Union(queueless))
        {
            if (links.TryGetValue(index, out LinkFacts? facts))
            {
                links[index] = facts with { HasUpper = lower.Contains(index), HasIngressQdisc = watched.Contains(index), HasNoQueue = queueless.Contains(index) && !watched.Contains(index) };
            }
        }
        return links;
    }

    /// <summary>A neighbour as the kernel has it, or null.</summary>
    public Neighbour? FindNeighbour(in NeighbourKey key)
    {
        Neighbour? found = null;
        Begin(RTM_GETNEIGH, 0, new NeighbourHeader { Family = key.IsIpv6 ? AF_INET6 : AF_INET, Ifindex = key.Ifindex });
        _writer.Bytes(NDA_DST, key.Bytes());
        _ = End(reply =>
        {
            int size = Marshal.SizeOf<NeighbourHeader>();
            if (reply.Type == RTM_NEWNEIGH && reply.Body.Length >= size)
            {
                found = new Neighbour(reply.Attribute(size, NDA_LLADDR).ToArray(), MemoryMarshal.Read<NeighbourHeader>(reply.Body).State);
            }
        });
        return found;
    }

    /// <summary>Base chains of nf_tables that could do something to a packet. A chain without rules that accepts does nothing.</summary>
    /// <param name="ours">Tables that do not count.</param>
    public ForeignHooks ReadHooks(IReadOnlyCollection<string> ours)
    {
        ForeignHooks hooks = ForeignHooks.None;
        _writer.Clear();
        _writer.BeginMessage(NFT_MSG_GETCHAIN, NetlinkConstants.NLM_F_REQUEST | NetlinkConstants.NLM_F_DUMP, 0u);   // nfgenmsg, every family
        _writer.EndMessage();
        int errno = _netfilter.Exchange(_writer.Written, reply =>
        {
            if (reply.Type != NFT_MSG_NEWCHAIN || reply.Body.Length < NfHeaderSize || reply.Attribute(NfHeaderSize, NFTA_CHAIN_HOOK) is not { IsEmpty: false } hook
                || ours.Contains(NetlinkReply.Text(reply.Attribute(NfHeaderSize, NFTA_CHAIN_TABLE))))
            {
                return;
            }
            bool isIdle = Be32(reply.Attribute(NfHeaderSize, NFTA_CHAIN_USE)) == 0 && Be32(reply.Attribute(NfHeaderSize, NFTA_CHAIN_POLICY)) == NF_ACCEPT;
            if (!isIdle)
            {
                hooks |= HookOf(reply.Body[0], Be32(NetlinkReply.Find(hook, NFTA_HOOK_HOOKNUM)));
            }
        });
        return errno == 0 ? hooks : hooks | ForeignHooks.Unknown;
    }

    /// <summary>Raw sockets of a protocol in the calling thread's namespace.</summary>
    public static int CountRawSockets(bool ipv6, byte protocol)
    {
        string path = ipv6 ? "/proc/thread-self/net/raw6" : "/proc/thread-self/net/raw", port = ":" + protocol.ToString("X4", CultureInfo.InvariantCulture);
        const int LocalColumn = 1;   // the port is the protocol
        return File.Exists(path)
            ? File.ReadLines(path).Count(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is { Length: > LocalColumn } columns
                && columns[LocalColumn].EndsWith(port, StringComparison.Ordinal))
            : 0;
    }

    /// <summary>Whether a packet socket of the calling thread's namespace sees all that passes on its links (ETH_P_ALL), as tcpdump's does.</summary>
    /// <param name="ours">Inodes of those that do not count.</param>
    public static bool HasLinkReaders(IReadOnlyCollection<ulong> ours)
    {
        const int ProtocolColumn = 3, InodeColumn = 8;
        return File.Exists(NetworkWatch.PacketSocketsPath) && File.ReadLines(NetworkWatch.PacketSocketsPath).Any(
            line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is { Length: > InodeColumn } columns && columns[ProtocolColumn] == "0003"
                && !(ulong.TryParse(columns[InodeColumn], CultureInfo.InvariantCulture, out ulong inode) && ours.Contains(inode)));
    }

    /// <summary>Whether programs of eBPF look at what leaves by a link of the calling thread's namespace, or may.</summary>
    /// <param name="ifindex">The link.</param>
    /// <param name="ours">How many do not count.</param>
    public static bool HasEgressPrograms(int ifindex, int ours) => BpfCalls.CountAttached(ifindex, BpfCalls.TcxEgress) != ours;

    public void Dispose()
    {
        _netlink.Dispose();
        _netfilter.Dispose();
    }

    private static ForeignHooks HookOf(byte family, uint hook) => (family, hook) switch
    {
        (NFPROTO_NETDEV, NF_NETDEV_INGRESS) or (NFPROTO_INET, NF_INET_INGRESS) => ForeignHooks.Ingress,
        (NFPROTO_NETDEV, _) => ForeignHooks.Egress,
        (NFPROTO_INET or NFPROTO_IPV4 or NFPROTO_IPV6, (uint)NetfilterHook.Prerouting or (uint)NetfilterHook.LocalIn) => ForeignHooks.Input,
        (NFPROTO_INET or NFPROTO_IPV4 or NFPROTO_IPV6, (uint)NetfilterHook.LocalOut or (uint)NetfilterHook.Postrouting) => ForeignHooks.Output,
        _ => ForeignHooks.None,
    };

    /// <summary>Whether the calling thread's namespace has tables of iptables' own kind. They tell nobody of their rules: one that has been used counts.</summary>
    public static bool HasLegacyTables()
    {
        foreach (string path in (ReadOnlySpan<string>)["/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"])
        {
            try
            {
                if (File.Exists(path) && File.ReadAllBytes(path).Length > 0)
                {
                    return true;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return true;
            }
        }
        return false;
    }

    private RouteFacts? AskRoute(ReadOnlySpan<byte> destination, ReadOnlySpan<byte> source, uint mark, uint flags)
    {
        RouteFacts? found = null;
        byte bits = (byte)(destination.Length * 8);
        Begin(RTM_GETROUTE, 0, new RouteHeader
        {
            Family = destination.Length == 4 ? AF_INET : AF_INET6,
            DestinationLength = bits,
            SourceLength = source.IsEmpty ? (byte)0 : bits,
            Flags = flags,
        });
        _writer.Bytes(RTA_DST, destination);
        if (!source.IsEmpty)
        {
            _writer.Bytes(RTA_SRC, source);
        }
        _writer.Host32(RTA_MARK, mark);
        int errno = End(reply =>
        {
            int size = Marshal.SizeOf<RouteHeader>();
            if (reply.Type == RTM_NEWROUTE && reply.Body.Length >= size)
            {
                bool isPlain = reply.Attribute(size, RTA_MULTIPATH).IsEmpty && reply.Attribute(size, RTA_VIA).IsEmpty
                    && reply.Attribute(size, RTA_ENCAP).IsEmpty && reply.Attribute(size, RTA_NH_ID).IsEmpty;
                found = new RouteFacts(
                    MemoryMarshal.Read<RouteHeader>(reply.Body).Type,
                    (int)NetlinkReply.Host32(reply.Attribute(size, RTA_OIF)),
                    reply.Attribute(size, RTA_GATEWAY).ToArray(),
                    isPlain);
            }
        });
        return errno == 0 ? found : null;
    }

    /// <summary>Links where a qdisc looks at what comes in, and those that have no other than the one that does nothing.</summary>
    private (HashSet<int> Watched, HashSet<int> Queueless) ReadQdiscs()
    {
        HashSet<int> watched = [], queueless = [];
        Begin(RTM_GETQDISC, NetlinkConstants.NLM_F_DUMP, default(TrafficControlHeader));
        _ = End(reply =>
        {
            int size = Marshal.SizeOf<TrafficControlHeader>();
            if (reply.Type == RTM_NEWQDISC && reply.Body.Length >= size)
            {
                TrafficControlHeader header = MemoryMarshal.Read<TrafficControlHeader>(reply.Body);
                string kind = NetlinkReply.Text(reply.Attribute(size, TCA_KIND));
                _ = kind is "ingress" or "clsact" ? watched.Add(header.Ifindex) : kind == "noqueue" && header.Parent == TC_H_ROOT && queueless.Add(header.Ifindex);
            }
        });
        return (watched, queueless);
    }

    private static bool HasOnly(ReadOnlySpan<byte> attributes, ReadOnlySpan<ushort> known)
    {
        while (attributes.Length >= 4)
        {
            int length = MemoryMarshal.Read<ushort>(attributes);
            ushort type = (ushort)(MemoryMarshal.Read<ushort>(attributes[2..]) & NetlinkConstants.NLA_TYPE_MASK);
            if (length < 4 || length > attributes.Length || !known.Contains(type))
            {
                return false;
            }
            attributes = attributes[Math.Min(attributes.Length, (length + 3) & ~3)..];
        }
        return true;
    }

    private static uint Be32(ReadOnlySpan<byte> value) => value.Length >= sizeof(uint) ? BinaryPrimitives.ReadUInt32BigEndian(value) : 0;

    private void Begin<THeader>(ushort type, ushort flags, in THeader header)
        where THeader : unmanaged
    {
        _writer.Clear();
        _writer.BeginMessage(type, (ushort)(flags | NetlinkConstants.NLM_F_REQUEST), header);
    }

    private int End(NetlinkReplyHandler onReply)
    {
        _writer.EndMessage();
        return _netlink.Exchange(_writer.Written, onReply);
    }

    /// <summary><c>struct ndmsg</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct NeighbourHeader
    {
        public byte Family;
        public byte Pad1;
        public ushort Pad2;
        public int Ifindex;
        public ushort State;
        public byte Flags;
        public byte Type;
    }

    /// <summary><c>struct tcmsg</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct TrafficControlHeader
    {
        public byte Family;
        public byte Pad1;
        public ushort Pad2;
        public int Ifindex;
        public uint Handle;
        public uint Parent;
        public uint Info;
    }
}
