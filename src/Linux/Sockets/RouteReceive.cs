namespace Xfrmd.Linux.Sockets;

/// <summary>What a receive from a netlink socket brings beside the data.</summary>
/// <param name="controlRoom">Bytes of control messages that fit.</param>
public sealed class RouteReceive(int controlRoom)
{
    /// <summary><c>sizeof(struct sockaddr_nl)</c>.</summary>
    public const int NameSize = 12;

    /// <summary>Who sent it: <c>struct sockaddr_nl</c>.</summary>
    public byte[] Name { get; } = new byte[NameSize];

    public byte[] Control { get; } = new byte[controlRoom];

    public int ControlLength { get; set; }

    /// <summary><c>msg_flags</c>.</summary>
    public int Flags { get; set; }
}
