namespace Xfrmd.Netlink.Abi;

/// <summary><c>NLMSG_*</c>, uapi/linux/netlink.h: the message types of netlink itself. Types below <see cref="Min"/> reach no protocol.</summary>
public static class NlMsgType
{
    public const ushort Noop = 1, Error = 2, Done = 3, Overrun = 4, Min = 0x10;
}
