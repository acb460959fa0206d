namespace Xfrmd.Netlink.Abi;

/// <summary><c>XFRMA_SPD_*</c>: the attributes of NEWSPDINFO.</summary>
public enum SpdInfoAttr : ushort { Info = 1, HInfo = 2, Ipv4HThresh = 3, Ipv6HThresh = 4, Max = Ipv6HThresh }
