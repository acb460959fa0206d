using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux;

/// <summary>
/// A client of NETLINK_ROUTE: the links, rules and default routes that steering needs. Works in the network namespace of the thread that
/// made it. What it adds carries the protocol number <see cref="Protocol"/>, by which it is found again.
/// </summary>
public sealed partial class RouteClient : IDisposable
{
    /// <summary>rtm_protocol and FRA_PROTOCOL of all that xfrmd adds (none of rt_protos; 'X').</summary>
    public const byte Protocol = 88;

    private const ushort RTM_NEWLINK = 16, RTM_GETLINK = 18, RTM_NEWROUTE = 24, RTM_DELROUTE = 25, RTM_GETROUTE = 26,
        RTM_NEWRULE = 32, RTM_DELRULE = 33, RTM_GETRULE = 34, RTM_NEWNSID = 88, RTM_GETNSID = 90;
    private const ushort NETNSA_NSID = 1, NETNSA_FD = 3;
    private const ushort RTM_NEWNETCONF = 80, RTM_GETNETCONF = 82, NETCONFA_IFINDEX = 1, NETCONFA_FORWARDING = 2;
    private const ushort IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_TXQLEN = 13, IFLA_AF_SPEC = 26, IFLA_INET_CONF = 1, IFLA_INET6_ADDR_GEN_MODE = 8;
    private const ushort RTA_DST = 1, RTA_OIF = 4, RTA_GATEWAY = 5, RTA_PRIORITY = 6, RTA_TABLE = 15, RTA_MARK = 16;
    private const ushort FRA_IIFNAME = 3, FRA_GOTO = 4, FRA_PRIORITY = 6, FRA_FWMARK = 10, FRA_TABLE = 15, FRA_FWMASK = 16, FRA_PROTOCOL = 21;
    private const ushort IPV4_DEVCONF_FORWARDING = 1, IPV4_DEVCONF_SRC_VMARK = 24;
    private const byte IN6_ADDR_GEN_MODE_NONE = 1, RTN_UNICAST = 1, RTN_UNREACHABLE = 7;
    private const byte AF_INET = 2, AF_INET6 = 10;
    private const uint IFF_UP = 1, RTNH_F_ONLINK = 4;
    private const uint RT_TABLE_LOCAL = 255;
    private const int EEXIST = 17, EINVAL = 22, ESRCH = 3, ENOENT = 2;
    private static ReadOnlySpan<byte> DummyGateway => [192, 0, 0, 8];

    private readonly NetlinkClient _netlink = new(NetlinkConstants.NETLINK_ROUTE);
    private readonly NetlinkWriter _writer = new();

    /// <summary>The index of a link, or null.</summary>
    public int? FindLink(string name)
    {
        int? index = null;
        Begin(RTM_GETLINK, 0, default(LinkHeader));
        _writer.Text(IFLA_IFNAME, name);
        _ = End(reply =>
        {
            if (reply.Type == RTM_NEWLINK && reply.Body.Length >= Marshal.SizeOf<LinkHeader>())
            {
                index = MemoryMarshal.Read<LinkHeader>(reply.Body).Index;
            }
        });
        return index;
    }

    /// <summary>Whether there is a link of this index.</summary>
    public bool HasLink(int ifindex)
    {
        bool found = false;
        if (ifindex > 0)
        {
            Begin(RTM_GETLINK, 0, new LinkHeader { Index = ifindex });
            _ = End(reply => found |= reply.Type == RTM_NEWLINK);
        }
        return found;
    }

    /// <summary>The number (nsid) that this namespace knows another one by; null where it has none.</summary>
    public int? NumberOf(SafeFileHandle namespaceHandle)
    {
        int number = -1;   // NETNSA_NSID_NOT_ASSIGNED
        Begin(RTM_GETNSID, 0, new GeneralHeader());
        _writer.Host32(NETNSA_FD, (uint)namespaceHandle.DangerousGetHandle());
        _ = End(reply =>
        {
            if (reply.Type == RTM_NEWNSID)
            {
                number = (int)NetlinkReply.Host32(reply.Attribute(Marshal.SizeOf<GeneralHeader>(), NETNSA_NSID));
            }
        });
        return number < 0 ? null : number;
    }

    /// <summary>The interface that a packet with this mark would leave by; 0 where there is no route.</summary>
    /// <param name="destination">4 or 16 bytes.</param>
    public int OutputInterface(ReadOnlySpan<byte> destination, uint mark)
    {
        int index = 0;
        Begin(RTM_GETROUTE, 0, new RouteHeader { Family = destination.Length == 4 ? AF_INET : AF_INET6, DestinationLength = (byte)(destination.Length * 8) });
        _writer.Bytes(RTA_DST, destination);
        _writer.Host32(RTA_MARK, mark);
        _ = End(reply =>
        {
            if (reply.Type == RTM_NEWROUTE)
            {
                index = (int)NetlinkReply.Host32(reply.Attribute(Marshal.SizeOf<RouteHeader>(), RTA_OIF));
            }
        });
        return index;
    }

    /// <summary>
    /// Sets MTU and queue length, keeps IPv6 from giving itself a link-local address (and so from soliciting routers through the tunnel),
    /// and lets the reverse path filter see marks.
    /// </summary>
    public void ConfigureTun(int ifindex, int mtu, int transmitQueueLength)
    {
        Begin(RTM_NEWLINK, NetlinkConstants.NLM_F_ACK, new LinkHeader { Index = ifindex });
        _writer.Host32(IFLA_MTU, (uint)mtu);
        _writer.Host32(IFLA_TXQLEN, (uint)transmitQueueLength);
        Check(End(), "set link MTU");
        _ = SetAddressFamily(ifindex, AF_INET6, () => _writer.Byte(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE));   // fails where IPv6 is off
        Check(SetConfiguration(ifindex, IPV4_DEVCONF_SRC_VMARK, 1), "set src_valid_mark");
    }

    /// <summary>net.ipv4.conf.DEVICE.forwarding of every device, by index.</summary>
    public Dictionary<int, bool> Forwarding()
    {
        Dictionary<int, bool> found = [];
        int header = Marshal.SizeOf<GeneralHeader>();   // struct netconfmsg is alike
        Begin(RTM_GETNETCONF, NetlinkConstants.NLM_F_DUMP, new GeneralHeader { Family = AF_INET });
        _ = End(reply =>
        {
            // Those of "all" and "default" are negative.
            if (reply.Type == RTM_NEWNETCONF && (int)NetlinkReply.Host32(reply.Attribute(header, NETCONFA_IFINDEX)) is > 0 and int index)
            {
                found[index] = NetlinkReply.Host32(reply.Attribute(header, NETCONFA_FORWARDING)) != 0;
            }
        });
        return found;
    }

    /// <summary>Sets it for one device: 0 or the errno.</summary>
    public int SetForwarding(int ifindex, bool forwards) => SetConfiguration(ifindex, IPV4_DEVCONF_FORWARDING, forwards ? 1u : 0);

    public void BringUp(int ifindex)
    {
        Begin(RTM_NEWLINK, NetlinkConstants.NLM_F_ACK, new LinkHeader { Index = ifindex, Flags = IFF_UP, Change = IFF_UP });
        Check(End(), "set link up");
    }

    /// <summary>Takes the link down and gives it another name; EEXIST where the name is taken.</summary>
    public int Rename(int ifindex, string name)
    {
        Begin(RTM_NEWLINK, NetlinkConstants.NLM_F_ACK, new LinkHeader { Index = ifindex, Change = IFF_UP });
        int errno = End();
        if (errno == 0)
        {
            Begin(RTM_NEWLINK, NetlinkConstants.NLM_F_ACK, new LinkHeader { Index = ifindex });
            _writer.Text(IFLA_IFNAME, name);
            errno = End();
        }
        return errno;
    }

    public void SetMtu(int ifindex, int mtu)
    {
        Begin(RTM_NEWLINK, NetlinkConstants.NLM_F_ACK, new LinkHeader { Index = ifindex });
        _writer.Host32(IFLA_MTU, (uint)mtu);
        Check(End(), "set link MTU");
    }

    /// <summary>Adds the rule for IPv4 and IPv6. One that is there already is left as it is.</summary>
    public void AddRule(in RouteRule rule)
    {
        foreach (byte family in (ReadOnlySpan<byte>)[AF_INET, AF_INET6])
        {
            WriteRule(RTM_NEWRULE, NetlinkConstants.NLM_F_CREATE | NetlinkConstants.NLM_F_EXCL, family, rule);
            CheckFamily(End(), family, "add rule", EEXIST);
        }
    }

    public void DeleteRule(in RouteRule rule)
    {
        foreach (byte family in (ReadOnlySpan<byte>)[AF_INET, AF_INET6])
        {
            WriteRule(RTM_DELRULE, 0, family, rule);
            CheckFamily(End(), family, "delete rule", ENOENT);
        }
    }

    /// <summary>
    /// A default route of the table out of an interface, for IPv4 and IPv6. IPv4 has a gateway, which a TUN does not look at (192.0.0.8, the
    /// dummy address of RFC 7600): without one the kernel takes whoever sends through the TUN for a neighbour and tells him in clear, by
    /// ICMP redirect, of packets that go back into it.
    /// </summary>
    public void AddDefaultRoute(uint table, int ifindex, uint metric) => AddDefaultRoute(table, ifindex, metric, RTN_UNICAST);

    /// <summary>The default route that refuses: it stays when the interface of the better one has vanished.</summary>
    public void AddUnreachableDefault(uint table, uint metric) => AddDefaultRoute(table, 0, metric, RTN_UNREACHABLE);

    /// <summary>Removes every rule and route of <see cref="Protocol"/>, whoever added it. Returns how many there were.</summary>
    public int RemoveOurs() => RemoveOurs(rules: true) + RemoveOurs(rules: false);

    /// <summary>Removes the routes of <see cref="Protocol"/> in one table.</summary>
    public int RemoveRoutes(uint table) => RemoveOurs(rules: false, table);

    public void Dispose() => _netlink.Dispose();

    private void AddDefaultRoute(uint table, int ifindex, uint metric, byte type)
    {
        foreach (byte family in (ReadOnlySpan<byte>)[AF_INET, AF_INET6])
        {
            int errno = TryAddDefaultRoute(family, table, ifindex, metric, type);
            if (errno == EINVAL && family == AF_INET && ifindex != 0)
            {
                MakeLocalTable();
                errno = TryAddDefaultRoute(family, table, ifindex, metric, type);
            }
            CheckFamily(errno, family, "add route", EEXIST);
        }
    }

    private int TryAddDefaultRoute(byte family, uint table, int ifindex, uint metric, byte type)
    {
        RouteHeader header = new()
        {
            Family = family,
            Protocol = Protocol,
            Type = type,
            Flags = family == AF_INET && ifindex != 0 ? RTNH_F_ONLINK : 0,
        };
        Begin(RTM_NEWROUTE, NetlinkConstants.NLM_F_ACK | NetlinkConstants.NLM_F_CREATE | NetlinkConstants.NLM_F_EXCL, header);
        _writer.Host32(RTA_TABLE, table);
        _writer.Host32(RTA_PRIORITY, metric);
        if (ifindex != 0)
        {
            _writer.Host32(RTA_OIF, (uint)ifindex);
            if (family == AF_INET)
            {
                _writer.Bytes(RTA_GATEWAY, DummyGateway);
            }
        }
        return End();
    }

    /// <summary>
    /// A namespace in which nothing has ever had an IPv4 address, loopback neither (unshare -n), has no local table, and without one every
    /// gateway is invalid (__inet_dev_addr_type). A route that comes and goes makes it.
    /// </summary>
    private void MakeLocalTable()
    {
        foreach ((ushort type, ushort flags) in ((ushort, ushort)[])[(RTM_NEWROUTE, NetlinkConstants.NLM_F_CREATE), (RTM_DELROUTE, 0)])
        {
            Begin(type, (ushort)(flags | NetlinkConstants.NLM_F_ACK), new RouteHeader { Family = AF_INET, DestinationLength = 32, Protocol = Protocol, Type = RTN_UNREACHABLE });
            _writer.Bytes(RTA_DST, DummyGateway);
            _writer.Host32(RTA_TABLE, RT_TABLE_LOCAL);
            Check(End(), "make the local table");
        }
    }

    private void WriteRule(ushort type, ushort flags, byte family, in RouteRule rule)
    {
        Begin(type, (ushort)(flags | NetlinkConstants.NLM_F_ACK), new RuleHeader { Family = family, Action = rule.Action });
        _writer.Host32(FRA_PRIORITY, rule.Priority);
        _writer.Byte(FRA_PROTOCOL, Protocol);
        if (rule.Action == RouteRule.ToTable)
        {
            _writer.Host32(FRA_TABLE, rule.Target);
        }
        if (rule.Action == RouteRule.Goto)
        {
            _writer.Host32(FRA_GOTO, rule.Target);
        }
        if (rule.MarkMask != 0)
        {
            _writer.Host32(FRA_FWMARK, rule.Mark);
            _writer.Host32(FRA_FWMASK, rule.MarkMask);
        }
        if (rule.InputInterface is not null)
        {
            _writer.Text(FRA_IIFNAME, rule.InputInterface);
        }
    }

    /// <summary>Dumps rules or routes and sends each of ours back as a deletion, attributes and all.</summary>
    private int RemoveOurs(bool rules, uint onlyTable = 0)
    {
        List<byte[]> ours = [];
        foreach (byte family in (ReadOnlySpan<byte>)[AF_INET, AF_INET6])
        {
            if (rules)
            {
                Begin(RTM_GETRULE, NetlinkConstants.NLM_F_DUMP, new RuleHeader { Family = family });
            }
            else
            {
                Begin(RTM_GETROUTE, NetlinkConstants.NLM_F_DUMP, new RouteHeader { Family = family });
            }
            _ = End(reply =>
            {
                if (reply.Type == (rules ? RTM_NEWRULE : RTM_NEWROUTE) && IsOurs(reply, rules, onlyTable))
                {
                    ours.Add(reply.Body.ToArray());
                }
            });
        }
        foreach (byte[] body in ours)
        {
            RuleHeader header = MemoryMarshal.Read<RuleHeader>(body);   // as long as struct rtmsg
            Begin(rules ? RTM_DELRULE : RTM_DELROUTE, NetlinkConstants.NLM_F_ACK, header);
            foreach (ushort attribute in rules
                ? (ReadOnlySpan<ushort>)[FRA_PRIORITY, FRA_PROTOCOL, FRA_TABLE, FRA_GOTO, FRA_FWMARK, FRA_FWMASK, FRA_IIFNAME]
                : [RTA_TABLE, RTA_PRIORITY, RTA_OIF])
            {
                ReadOnlySpan<byte> value = NetlinkReply.Find(body.AsSpan(Marshal.SizeOf<RuleHeader>()), attribute);
                if (!value.IsEmpty && !(attribute == FRA_TABLE && rules && header.Action != RouteRule.ToTable))
                {
                    _writer.Bytes(attribute, value);
                }
            }
            int errno = End();
            Check(errno is ENOENT or ESRCH ? 0 : errno, rules ? "delete rule" : "delete route");
        }
        return ours.Count;
    }

    private static bool IsOurs(NetlinkReply reply, bool rules, uint onlyTable)
    {
        int headerSize = Marshal.SizeOf<RuleHeader>();
        if (reply.Body.Length < headerSize)
        {
            return false;
        }
        if (rules)
        {
            return reply.Attribute(headerSize, FRA_PROTOCOL) is [Protocol];
        }
        return MemoryMarshal.Read<RouteHeader>(reply.Body).Protocol == Protocol
            && (onlyTable == 0 || NetlinkReply.Host32(reply.Attribute(headerSize, RTA_TABLE)) == onlyTable);
    }

    private int SetConfiguration(int ifindex, ushort setting, uint value) => SetAddressFamily(ifindex, AF_INET, () =>
    {
        int nest = _writer.BeginNest(IFLA_INET_CONF);
        _writer.Host32(setting, value);
        _writer.EndNest(nest);
    });

    private int SetAddressFamily(int ifindex, ushort family, Action write)
    {
        Begin(RTM_NEWLINK, NetlinkConstants.NLM_F_ACK, new LinkHeader { Index = ifindex });
        int spec = _writer.BeginNest(IFLA_AF_SPEC);
        int nest = _writer.BeginNest(family);
        write();
        _writer.EndNest(nest);
        _writer.EndNest(spec);
        return End();
    }

    private void Begin<THeader>(ushort type, ushort flags, in THeader header)
        where THeader : unmanaged
    {
        _writer.Clear();
        _writer.BeginMessage(type, (ushort)(flags | NetlinkConstants.NLM_F_REQUEST), header);
    }

    private int End(NetlinkReplyHandler? onReply = null)
    {
        _writer.EndMessage();
        return _netlink.Exchange(_writer.Written, onReply);
    }

    private static void Check(int errno, string call)
    {
        if (errno != 0)
        {
            throw new LinuxException(errno, call);
        }
    }

    /// <summary>A kernel without IPv6 (or with it disabled) refuses its half: nothing can leak there.</summary>
    private static void CheckFamily(int errno, byte family, string call, int tolerated)
    {
        const int EOPNOTSUPP = 95, EAFNOSUPPORT = 97, EACCES = 13;
        if (errno != tolerated && !(family == AF_INET6 && errno is EOPNOTSUPP or EAFNOSUPPORT or EACCES))
        {
            Check(errno, call);
        }
    }
}
