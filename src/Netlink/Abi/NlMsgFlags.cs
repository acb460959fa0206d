namespace Xfrmd.Netlink.Abi;

/// <summary><c>NLM_F_*</c>, uapi/linux/netlink.h. Some bits mean one thing in requests and another in acknowledgements.</summary>
#pragma warning disable CA1069 // The ABI gives one bit several meanings.
[Flags]
public enum NlMsgFlags : ushort
{
    None = 0,
    Request = 0x01,
    Multi = 0x02,
    Ack = 0x04,
    Echo = 0x08,

    // Modifiers of GET requests.
    Root = 0x100,
    Match = 0x200,
    Dump = Root | Match,

    // Modifiers of NEW requests.
    Replace = 0x100,
    Excl = 0x200,

    // Flags of NLMSG_ERROR.
    Capped = 0x100,
    AckTlvs = 0x200,
}
