using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink;

/// <summary>
/// The sockets that hear other namespaces too (NETLINK_LISTEN_ALL_NSID). One for the protocol, as all namespaces share <c>nl_table</c>'s
/// list of listeners. Read under the gate of the namespace where something happens, not of the listener's.
/// </summary>
internal sealed class WideListeners
{
    private readonly Lock _gate = new();
    private volatile NetlinkSocket[] _sockets = [];

    public void Set(NetlinkSocket socket, bool listens)
    {
        lock (_gate)
        {
            NetlinkSocket[] others = [.. _sockets.Where(other => other != socket)];
            _sockets = listens ? [.. others, socket] : others;
        }
    }

    /// <summary>Whether a group has a member outside a namespace.</summary>
    /// <param name="origin">The namespace.</param>
    /// <param name="group">The group.</param>
    /// <param name="closedToo">One that its program has just closed counts: then no call is made.</param>
    public bool Any(NetlinkNamespace origin, XfrmGroup group, bool closedToo)
    {
        foreach (NetlinkSocket socket in _sockets)
        {
            if (socket.HearsOf(origin, group) && (closedToo || !socket.IsClosed))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary><c>do_one_broadcast</c> for the sockets of other namespaces. True where one was told.</summary>
    /// <param name="origin">Where it happens. Its gate is held.</param>
    /// <param name="group">Whom it is for.</param>
    /// <param name="datagram">All of it.</param>
    /// <param name="port">Who sends: 0 the kernel.</param>
    /// <param name="addressee">A port that gets it directly.</param>
    public bool Tell(NetlinkNamespace origin, XfrmGroup group, ReadOnlySpan<byte> datagram, uint port = 0, uint? addressee = null)
    {
        bool told = false;
        foreach (NetlinkSocket socket in _sockets)
        {
            if (socket.Port != addressee && socket.HearsOf(origin, group) && socket.NumberOf(origin) is { } number)
            {
                origin.Space.Observers.Settle();
                socket.ReceiveFromAfar(datagram, group, port, number);
                told = true;
            }
        }
        return told;
    }
}
