namespace Xfrmd.Linux.Sockets;

/// <summary>A bound UDP socket of a network namespace.</summary>
/// <param name="Inode">The number in <c>socket:[N]</c>.</param>
/// <param name="Family">AF_INET or AF_INET6.</param>
/// <param name="Port">The local port in host byte order.</param>
public readonly record struct BoundUdpSocket(ulong Inode, ushort Family, ushort Port);
