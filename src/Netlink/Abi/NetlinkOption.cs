namespace Xfrmd.Netlink.Abi;

/// <summary>The options of level SOL_NETLINK (<c>NETLINK_*</c>, uapi/linux/netlink.h).</summary>
public enum NetlinkOption
{
    AddMembership = 1,
    DropMembership = 2,
    PktInfo = 3,
    BroadcastError = 4,
    NoEnobufs = 5,
    ListenAllNsid = 8,
    ListMemberships = 9,
    CapAck = 10,
    ExtAck = 11,
    GetStrictChk = 12,
}
