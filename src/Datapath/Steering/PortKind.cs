namespace Xfrmd.Datapath.Steering;

/// <summary>How a packet must look for the port fields of a selector to be read from it (<c>__xfrm_decode_session</c>).</summary>
public enum PortKind : byte
{
    /// <summary>Port fields do not matter.</summary>
    None,

    /// <summary>TCP, UDP, UDP-Lite, SCTP: the first four bytes. Not in a fragment, of which Linux sees no ports, not even of the first.</summary>
    Ports,

    /// <summary>ICMP, ICMPv6: type as source, code as destination port. Not in a fragment.</summary>
    IcmpType,

    /// <summary>GRE with a key and no checksum: the key's halves.</summary>
    GreKey,

    /// <summary>GRE with a key behind a checksum.</summary>
    GreKeyAfterChecksum,

    /// <summary>GRE without a key: its ports are 0.</summary>
    GreWithoutKey,

    /// <summary>A fragment: its ports are 0.</summary>
    Fragment,

    /// <summary>A protocol without ports: they are 0.</summary>
    Portless,
}
