using System.Runtime.CompilerServices;
using Xfrmd.Kernel;

namespace Xfrmd.PfKey;

/// <summary>AF_KEY: makes its sockets. Mirrors <c>pfkey_create</c> and <c>pfkey_net_init</c>.</summary>
public sealed class PfKeyFamily : IProtocolFamily
{
    private const int SockRaw = 3, PfKeyV2 = 2;
    private readonly ConditionalWeakTable<XfrmNamespace, PfKeyNamespace> _namespaces = [];
    private readonly ReqidGenerator _reqids = new();

    /// <summary>
    /// Joins PF_KEY to a namespace: its key manager is told from now on. The first socket does it too; called beforehand, after netlink's
    /// registration, it settles that netlink is asked first, as in Linux.
    /// </summary>
    public void Register(XfrmNamespace space) => NamespaceOf(space);

    public Errno Create(int type, int protocol, XfrmNamespace space, IReceiveBuffer buffer, in Caller caller, out IProtocolSocket? socket)
    {
        ArgumentNullException.ThrowIfNull(space);
        socket = null;
        if (!caller.NetAdmin)
        {
            return Errno.EPERM;
        }
        if (type != SockRaw)
        {
            return Errno.ESOCKTNOSUPPORT;
        }
        if (protocol != PfKeyV2)
        {
            return Errno.EPROTONOSUPPORT;
        }
        socket = new PfKeySocket(NamespaceOf(space), buffer);
        return Errno.None;
    }

    /// <summary>
    /// <c>pfkey_compile_policy</c>: what setsockopt IP_IPSEC_POLICY or IPV6_IPSEC_POLICY asks for. EOPNOTSUPP for an option of another
    /// family than the socket's, which is not ours. Under <see cref="XfrmNamespace.Gate"/>.
    /// </summary>
    /// <param name="space">Whose policies' reqids a generated one must not meet.</param>
    /// <param name="socketFamily">AF_INET or AF_INET6.</param>
    /// <param name="option">The option's name at its family's level.</param>
    /// <param name="value">The option's value: a <c>sadb_x_policy</c>.</param>
    /// <param name="policy">The policy, where the result is <see cref="Errno.None"/>.</param>
    public Errno CompileSocketPolicy(XfrmNamespace space, ushort socketFamily, int option, ReadOnlySpan<byte> value, out Policy? policy)
    {
        ArgumentNullException.ThrowIfNull(space);
        return SocketPolicyParser.Compile(socketFamily, option, value, () => _reqids.Next(space.Spd), out policy);
    }

    private PfKeyNamespace NamespaceOf(XfrmNamespace space)
    {
        lock (_namespaces)
        {
            if (!_namespaces.TryGetValue(space, out PfKeyNamespace? present))
            {
                present = new PfKeyNamespace(space, _reqids);
                _namespaces.Add(space, present);
            }
            return present;
        }
    }
}
