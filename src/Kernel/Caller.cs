namespace Xfrmd.Kernel;

/// <summary>The program behind a call: its thread group id as it sees it itself, and whether it has CAP_NET_ADMIN over its network namespace.</summary>
public readonly record struct Caller(int Tgid, bool NetAdmin);
