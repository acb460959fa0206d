using System.Runtime.CompilerServices;
using Xfrmd.Kernel;

namespace Xfrmd.Netlink;

/// <summary>AF_NETLINK's protocol NETLINK_XFRM: makes its sockets. Mirrors <c>netlink_create</c> and <c>xfrm_user_net_init</c>.</summary>
public sealed class NetlinkXfrmFamily : IProtocolFamily
{
    private const int SockDgram = 2, SockRaw = 3, NetlinkXfrm = 6;
    private readonly ConditionalWeakTable<XfrmNamespace, NetlinkNamespace> _namespaces = [];
    private readonly WideListeners _wide = new();

    /// <summary>
    /// Joins NETLINK_XFRM to a namespace: its key manager is told from now on. The first socket does it too; called beforehand it settles
    /// that netlink is asked before PF_KEY, as in Linux.
    /// </summary>
    public void Register(XfrmNamespace space) => NamespaceOf(space);

    public Errno Create(int type, int protocol, XfrmNamespace space, IReceiveBuffer buffer, in Caller caller, out IProtocolSocket? socket)
    {
        ArgumentNullException.ThrowIfNull(space);
        socket = null;
        if (type is not (SockRaw or SockDgram))
        {
            return Errno.ESOCKTNOSUPPORT;
        }
        if (protocol != NetlinkXfrm)
        {
            return Errno.EPROTONOSUPPORT;
        }
        socket = new NetlinkSocket(NamespaceOf(space), buffer, caller);
        return Errno.None;
    }

    /// <summary>
    /// <c>xfrm_compile_policy</c>: what setsockopt IP_XFRM_POLICY or IPV6_XFRM_POLICY asks for. EOPNOTSUPP for an option of another family
    /// than the socket's, which is not ours.
    /// </summary>
    /// <param name="socketFamily">AF_INET or AF_INET6.</param>
    /// <param name="option">The option's name at its family's level.</param>
    /// <param name="value">The option's value.</param>
    /// <param name="policy">The policy, where the result is <see cref="Errno.None"/>.</param>
    public static Errno CompileSocketPolicy(ushort socketFamily, int option, ReadOnlySpan<byte> value, out Policy? policy) =>
        SocketPolicyParser.Compile(socketFamily, option, value, out policy);

    private NetlinkNamespace NamespaceOf(XfrmNamespace space)
    {
        lock (_namespaces)
        {
            if (!_namespaces.TryGetValue(space, out NetlinkNamespace? present))
            {
                present = new NetlinkNamespace(space, _wide);
                _namespaces.Add(space, present);
            }
            return present;
        }
    }
}
