namespace Xfrmd.Linux.Sockets;

/// <summary><c>struct ucred</c> of SO_PEERCRED: who connected, in our namespaces' numbers.</summary>
public readonly record struct PeerCredentials(int ProcessId, uint UserId, uint GroupId);
