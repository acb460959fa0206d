namespace Xfrmd.Interop.Harness;

/// <summary>
/// Two gateways with a machine behind each, and a wire between that can be watched:
/// <code>
/// left-host 10.1.0.2 ── 10.1.0.1 left 192.0.2.1 ──┬── 192.0.2.2 right 10.2.0.1 ── 10.2.0.2 right-host
///           fd01::2     fd01::1       2001:db8::1  │  2001:db8::2       fd02::1     fd02::2
///                                                wire, as <see cref="Middle"/> says
/// </code>
/// Behind a router left is 10.9.0.2 and 2001:db8:9::2; behind two NATs right is 10.8.0.2.
/// </summary>
public sealed class Gateways : IDisposable
{
    public const string LeftAddress = "192.0.2.1", RightAddress = "192.0.2.2", LeftAddress6 = "2001:db8::1", RightAddress6 = "2001:db8::2";
    public const string LeftBehindNat = "10.9.0.2", LeftBehindRouter6 = "2001:db8:9::2", NatAddress = "192.0.2.9", RightBehindNat = "10.8.0.2";
    public const string LeftNet = "10.1.0.0/16", RightNet = "10.2.0.0/16", LeftNet6 = "fd01::/64", RightNet6 = "fd02::/64";
    public const string LeftLan = "10.1.0.1", RightLan = "10.2.0.1", LeftLan6 = "fd01::1", RightLan6 = "fd02::1";
    public const string LeftHostAddress = "10.1.0.2", RightHostAddress = "10.2.0.2", LeftHostAddress6 = "fd01::2", RightHostAddress6 = "fd02::2";

    public Gateways(Middle middle = Middle.Bridge, bool strictReversePath = false)
    {
        Lab = new Lab();
        try
        {
            Middle = middle;
            Left = Lab.AddHost("left");
            Right = Lab.AddHost("right");
            LeftHost = Lab.AddHost("left-host");
            RightHost = Lab.AddHost("right-host");
            Wire = Lab.AddHost("wire");
            Lab.Link(Left, "wan", Wire, "to-left");
            Lab.Link(Right, "wan", Wire, "to-right");
            Lab.Link(LeftHost, "eth0", Left, "lan");
            Lab.Link(RightHost, "eth0", Right, "lan");
            if (middle == Middle.Bridge)
            {
                AddBridge();
            }
            else
            {
                AddRouter();
            }
            SetUpLan(Left, LeftHost, LeftLan, LeftLan6, LeftHostAddress, LeftHostAddress6);
            SetUpLan(Right, RightHost, RightLan, RightLan6, RightHostAddress, RightHostAddress6);
            if (strictReversePath)
            {
                foreach (Host gateway in new[] { Left, Right })
                {
                    gateway.Sysctl("ipv4/conf/all/rp_filter", "1");
                    gateway.Sysctl("ipv4/conf/default/rp_filter", "1");
                    gateway.Sysctl("ipv4/conf/wan/rp_filter", "1");
                    gateway.Sysctl("ipv4/conf/lan/rp_filter", "1");
                }
            }
        }
        catch
        {
            Lab.Dispose();
            throw;
        }
    }

    public Lab Lab { get; }

    public Middle Middle { get; }

    public Host Left { get; }

    public Host Right { get; }

    public Host LeftHost { get; }

    public Host RightHost { get; }

    public Host Wire { get; }

    /// <summary>A daemon on each gateway.</summary>
    /// <param name="by">A program, with its options, that starts it in its own way.</param>
    public (XfrmdDaemon Left, XfrmdDaemon Right) StartDaemons(params string[] by) => (new XfrmdDaemon(Left, Lab.Folder, by), new XfrmdDaemon(Right, Lab.Folder, by));

    /// <summary>Watches the wire: behind a router, its right side.</summary>
    public Wiretap Watch() => Middle == Middle.Bridge
        ? new Wiretap(Lab, Wire, "to-left", "198.51.100")
        : new Wiretap(Lab, Wire, "to-right", Middle == Middle.TwoNats ? "10.8.0" : "192.0.2");

    public void Dispose() => Lab.Dispose();

    private static void SetUpLan(Host gateway, Host host, string gateway4, string gateway6, string host4, string host6)
    {
        gateway.Ip($"addr add {gateway4}/16 dev lan\naddr add {gateway6}/64 dev lan");
        gateway.Sysctl("ipv4/ip_forward", "1");
        gateway.Sysctl("ipv6/conf/all/forwarding", "1");
        host.Ip($"addr add {host4}/16 dev eth0\naddr add {host6}/64 dev eth0\nroute add default via {gateway4}\nroute add default via {gateway6}");
    }

    private void AddBridge()
    {
        Wire.Ip("link add br0 type bridge\nlink set dev to-left master br0\nlink set dev to-right master br0\naddr add 198.51.100.1/24 dev br0\nlink set br0 up");
        Left.Ip($"addr add {LeftAddress}/24 dev wan\naddr add {LeftAddress6}/64 dev wan\nroute add default via {RightAddress}\nroute add default via {RightAddress6}");
        Right.Ip($"addr add {RightAddress}/24 dev wan\naddr add {RightAddress6}/64 dev wan\nroute add default via {LeftAddress}\nroute add default via {LeftAddress6}");
    }

    private void AddRouter()
    {
        Wire.Sysctl("ipv4/ip_forward", "1");
        Wire.Sysctl("ipv6/conf/all/forwarding", "1");
        Wire.Ip("addr add 10.9.0.1/24 dev to-left\naddr add 2001:db8:9::1/64 dev to-left\naddr add 2001:db8::9/64 dev to-right");
        Left.Ip($"addr add {LeftBehindNat}/24 dev wan\naddr add {LeftBehindRouter6}/64 dev wan\nroute add default via 10.9.0.1\nroute add default via 2001:db8:9::1");
        Right.Ip($"addr add {RightAddress6}/64 dev wan\nroute add 2001:db8:9::/64 via 2001:db8::9");
        switch (Middle)
        {
            case Middle.Router:
                Wire.Ip($"addr add {NatAddress}/24 dev to-right");
                Right.Ip($"addr add {RightAddress}/24 dev wan\nroute add 10.9.0.0/24 via {NatAddress}");
                break;
            case Middle.Nat:
                Wire.Ip($"addr add {NatAddress}/24 dev to-right");
                Right.Ip($"addr add {RightAddress}/24 dev wan");
                Nft("add table ip nat\nadd chain ip nat post { type nat hook postrouting priority 100; }\nadd rule ip nat post oifname \"to-right\" masquerade");
                break;
            case Middle.TwoNats:
                // Right has no address of its own outside: what comes for the router's goes on to it.
                Wire.Ip($"addr add 10.8.0.1/24 dev to-right\naddr add {NatAddress}/32 dev lo");
                Right.Ip($"addr add {RightBehindNat}/24 dev wan\nroute add default via 10.8.0.1");
                Nft("add table ip nat\nadd chain ip nat pre { type nat hook prerouting priority -100; }\nadd chain ip nat post { type nat hook postrouting priority 100; }\n" +
                    $"add rule ip nat pre ip daddr {NatAddress} udp dport {{ 500, 4500 }} dnat to {RightBehindNat}\nadd rule ip nat post oifname \"to-right\" masquerade");
                break;
        }
    }

    /// <summary>Feeds lines to nft on the wire.</summary>
    public void Nft(string lines) => Wire.Nft(lines);
}
