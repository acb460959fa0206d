namespace Xfrmd.Linux.Routing;

/// <summary>What the kernel knows of a neighbour.</summary>
/// <param name="Station">Its link-layer address; empty where none is known.</param>
/// <param name="State"><c>NUD_*</c>.</param>
public readonly record struct Neighbour(byte[] Station, ushort State)
{
    private const ushort Reachable = 0x02, Stale = 0x04, Delay = 0x08, Probe = 0x10, Permanent = 0x80;

    /// <summary>The kernel would send to the station without asking (NUD_VALID, without NUD_NOARP).</summary>
    public bool IsUsable => (State & (Reachable | Stale | Delay | Probe | Permanent)) != 0;

    /// <summary>Whether it is still there nobody knows: the kernel finds out when it sends to it itself.</summary>
    public bool IsDoubtful => (State & (Reachable | Permanent)) == 0;
}
