namespace Xfrmd.Wire;

/// <summary>Values of the IPv4 protocol and the IPv6 next header field that the packet path looks at (<c>IPPROTO_*</c>, <c>NEXTHDR_*</c>).</summary>
public static class NextHeader
{
    public const byte HopByHop = 0, Icmp = 1, IpIp = 4, Tcp = 6, Udp = 17, Ipv6 = 41, Routing = 43, Fragment = 44, Gre = 47, Esp = 50,
        Ah = 51, Icmpv6 = 58, None = 59, Destination = 60, BeetPh = 94, Comp = 108, Sctp = 132, Mobility = 135, UdpLite = 136, Aggfrag = 144;
}
