namespace Xfrmd.Kernel;

/// <summary>What a netlink socket tells of a datagram in control messages of level SOL_NETLINK, where it was asked for.</summary>
/// <param name="Group">NETLINK_PKTINFO: the multicast group, 0 for what was sent to this socket alone.</param>
/// <param name="NamespaceNumber">NETLINK_LISTEN_ALL_NSID: the number by which the socket's namespace knows the one that it comes from.</param>
public readonly record struct ReceiveOrigin(int? Group, int? NamespaceNumber);
