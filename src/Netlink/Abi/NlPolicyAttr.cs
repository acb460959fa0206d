namespace Xfrmd.Netlink.Abi;

/// <summary><c>NL_POLICY_TYPE_ATTR_*</c>, uapi/linux/netlink.h: how an extended ACK describes an attribute's policy.</summary>
public enum NlPolicyAttr : ushort { Type = 1, MinValueU = 4, MaxValueU = 5 }
