namespace Xfrmd.Linux;

/// <summary>Numbers of uapi/linux/netlink.h that a client of the kernel needs, under their names there.</summary>
public static class NetlinkConstants
{
    public const int NETLINK_ROUTE = 0, NETLINK_NETFILTER = 12;
    public const ushort NLM_F_REQUEST = 1, NLM_F_ACK = 4, NLM_F_ECHO = 8, NLM_F_DUMP = 0x300;
    public const ushort NLM_F_REPLACE = 0x100, NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400, NLM_F_APPEND = 0x800;
    public const ushort NLMSG_ERROR = 2, NLMSG_DONE = 3;
    public const ushort NLA_F_NESTED = 0x8000, NLA_TYPE_MASK = 0x3fff;
}
