namespace Xfrmd.Linux.Routing;

/// <summary>Where routing sends a packet.</summary>
/// <param name="Type"><c>RTN_*</c>.</param>
/// <param name="Ifindex">The interface that it leaves by.</param>
/// <param name="Gateway">The next hop; empty: the destination itself.</param>
/// <param name="IsPlain">One next hop, on the same address family, nothing around the packet.</param>
public readonly record struct RouteFacts(byte Type, int Ifindex, byte[] Gateway, bool IsPlain)
{
    private const byte RTN_UNICAST = 1, RTN_LOCAL = 2;

    public bool IsUnicast => Type == RTN_UNICAST && Ifindex != 0 && IsPlain;

    public bool IsLocal => Type == RTN_LOCAL;
}
