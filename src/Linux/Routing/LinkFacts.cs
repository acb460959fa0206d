namespace Xfrmd.Linux.Routing;

/// <summary>What matters of a link to who would send and receive on it directly.</summary>
public sealed record LinkFacts
{
    private const uint IFF_UP = 1, IFF_LOOPBACK = 8, IFF_POINTOPOINT = 0x10, IFF_RUNNING = 0x40, IFF_NOARP = 0x80;
    private const ushort ARPHRD_ETHER = 1;

    public required string Name { get; init; }

    /// <summary><c>ARPHRD_*</c>.</summary>
    public required ushort Type { get; init; }

    /// <summary><c>IFF_*</c>.</summary>
    public required uint Flags { get; init; }

    public required int Mtu { get; init; }

    /// <summary>It belongs to a bridge, a bond, a VRF.</summary>
    public bool HasMaster { get; init; }

    /// <summary>Other links take their packets from it (VLAN, ipvlan).</summary>
    public bool HasUpper { get; init; }

    /// <summary>A qdisc looks at what comes in (ingress, clsact).</summary>
    public bool HasIngressQdisc { get; init; }

    /// <summary>Its own station.</summary>
    public byte[] Station { get; init; } = [];

    /// <summary>IFLA_INFO_KIND; empty for one of hardware.</summary>
    public string Kind { get; init; } = "";

    /// <summary>It hands packets to the device at once: no queueing discipline that one could see.</summary>
    public bool HasNoQueue { get; init; }

    /// <summary>What enters it comes out of its other end, whoever made it an Ethernet frame: no device beneath asks the packet's protocol, and none is ever full.</summary>
    public bool IsBareCable => Kind == "veth" && HasNoQueue;

    /// <summary>An Ethernet that carries packets of this host and resolves neighbours.</summary>
    public bool IsEthernet => Type == ARPHRD_ETHER && (Flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING)
        && (Flags & (IFF_LOOPBACK | IFF_POINTOPOINT | IFF_NOARP)) == 0 && !HasMaster;
}
