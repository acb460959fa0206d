namespace Xfrmd.Datapath.Steering;

/// <summary>A local UDP port whose socket has bypass policies: IKE, and ESP in UDP.</summary>
/// <param name="Family">AF_INET or AF_INET6.</param>
/// <param name="Port">The port in host byte order.</param>
public readonly record struct BypassPort(ushort Family, ushort Port);
