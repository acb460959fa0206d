using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Kernel;

/// <summary>
/// What attached programs do to their ordinary sockets that concerns XFRM. Attach calls it, the composition root joins it to the SPD and
/// the datapath. Each method owns the handle it is given: a duplicate of the program's descriptor, or null where none could be had
/// (no pidfd_getfd in a container), when only what is said in the arguments is known.
/// </summary>
public interface ISocketHooks
{
    /// <summary>setsockopt IP_XFRM_POLICY, IPV6_XFRM_POLICY (netlink layout) or IP_IPSEC_POLICY, IPV6_IPSEC_POLICY (PF_KEY layout).</summary>
    Errno SetSocketPolicy(XfrmNamespace space, SafeFileHandle? socket, ulong socketInode, int level, int name, ReadOnlySpan<byte> value);

    /// <summary>
    /// Bits of SO_MARK that are xfrmd's on sockets with policies of their own: a program that reads the mark sees them clear, and one that sets it
    /// leaves them to us (<see cref="SetSocketMark"/>).
    /// </summary>
    uint OwnedMark { get; }

    /// <summary>setsockopt SO_MARK of a socket with such bits, by a program that may.</summary>
    Errno SetSocketMark(XfrmNamespace space, SafeFileHandle socket, ulong socketInode, uint mark);

    /// <summary>setsockopt SOL_UDP UDP_ENCAP, and UDP_GRO after it. The kernel beneath never sees either.</summary>
    Errno SetUdpEncap(XfrmNamespace space, SafeFileHandle? socket, ulong socketInode, int name, int value);

    /// <summary>A program is about to bind an ordinary UDP socket to this address: whatever of ours holds the port for a dead owner lets it go.</summary>
    void BeforeBind(XfrmNamespace space, ulong socketInode, ReadOnlySpan<byte> address);

    /// <summary>RTM_NEWLINK of kind xfrm (<c>xfrmi_newlink</c>): the device of an if_id, down.</summary>
    /// <param name="space">Whose packets it will carry.</param>
    /// <param name="name">Its name, <c>%d</c> for the first free number.</param>
    /// <param name="ifId">Not 0.</param>
    /// <param name="ifindex">Its index, where it could be made.</param>
    /// <returns>EEXIST: the name or the if_id has a device. EOPNOTSUPP: there can be none.</returns>
    Errno CreateLink(XfrmNamespace space, string name, uint ifId, out int ifindex);

    /// <summary>RTM_DELLINK of such a device, by index or by name. False: it is none of ours.</summary>
    bool DeleteLink(XfrmNamespace space, int ifindex, string name);

    /// <summary>The attached process tree has ended.</summary>
    void SessionEnded(XfrmNamespace space, int tgid);
}
