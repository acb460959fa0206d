namespace Xfrmd.Kernel;

/// <summary><c>IPPROTO_*</c> that XFRM looks at, and <c>IPSEC_PROTO_ANY</c>.</summary>
public static class IpProtocol
{
    public const byte Any = 0, Icmp = 1, IpIp = 4, Tcp = 6, Udp = 17, Ipv6 = 41, Routing = 43, Fragment = 44, Gre = 47, Esp = 50, Ah = 51,
        Icmpv6 = 58, NoNext = 59, DstOpts = 60, BeetPh = 94, Comp = 108, Sctp = 132, Mh = 135, UdpLite = 136, Aggfrag = 144, IpsecAny = 255;

    /// <summary><c>xfrm_id_proto_match</c>: 0 matches all, 255 matches AH, ESP and IPComp.</summary>
    public static bool Matches(byte proto, byte wanted) =>
        wanted == Any || proto == wanted || (wanted == IpsecAny && (proto is Ah or Esp or Comp));
}
