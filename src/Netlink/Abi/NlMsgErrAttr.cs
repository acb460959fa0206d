namespace Xfrmd.Netlink.Abi;

/// <summary><c>NLMSGERR_ATTR_*</c>, uapi/linux/netlink.h: what an extended ACK says.</summary>
public enum NlMsgErrAttr : ushort { Msg = 1, Offs = 2, Cookie = 3, Policy = 4, MissType = 5, MissNest = 6 }
