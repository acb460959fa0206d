namespace Xfrmd.Netlink.Abi;

/// <summary><c>XFRM_OFFLOAD_*</c>.</summary>
[Flags]
public enum XfrmOffloadFlags : byte { None = 0, Ipv6 = 1, Inbound = 2, Packet = 4 }
