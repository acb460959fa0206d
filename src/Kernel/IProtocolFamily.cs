namespace Xfrmd.Kernel;

/// <summary><c>struct net_proto_family</c>: makes sockets of one address family (AF_NETLINK's protocol 6, AF_KEY).</summary>
public interface IProtocolFamily
{
    /// <summary>socket(2).</summary>
    /// <param name="type">SOCK_RAW or SOCK_DGRAM, without the SOCK_CLOEXEC and SOCK_NONBLOCK bits.</param>
    /// <param name="protocol">The third argument of socket(2).</param>
    /// <param name="space">The state of the network namespace in which the program made the socket.</param>
    /// <param name="buffer">Where the program reads.</param>
    /// <param name="caller">Who opens it.</param>
    /// <param name="socket">The socket, where the result is <see cref="Errno.None"/>.</param>
    Errno Create(int type, int protocol, XfrmNamespace space, IReceiveBuffer buffer, in Caller caller, out IProtocolSocket? socket);
}
