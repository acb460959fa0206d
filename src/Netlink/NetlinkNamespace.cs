using System.Security.Cryptography;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink;

/// <summary>
/// NETLINK_XFRM in one network namespace: who is bound to which port and who listens to which group (<c>nl_table</c>). Use under
/// <see cref="XfrmNamespace.Gate"/>.
/// </summary>
internal sealed class NetlinkNamespace
{
    private const int LastNegative = -4097;
    private readonly Dictionary<uint, NetlinkSocket> _ports = [];
    private readonly List<NetlinkSocket>[] _members = [.. Enumerable.Range(0, (int)XfrmGroup.Count + 1).Select(static _ => new List<NetlinkSocket>())];

    private readonly WideListeners _wide;

    public NetlinkNamespace(XfrmNamespace space, WideListeners wide)
    {
        Space = space;
        _wide = wide;
        KeyManager = new NetlinkKeyManager(this);
        Handler = new XfrmHandler(this);
        space.KeyManagers.Register(KeyManager);
    }

    public XfrmNamespace Space { get; }

    public NetlinkKeyManager KeyManager { get; }

    public XfrmHandler Handler { get; }

    /// <summary><c>netlink_has_listeners</c>.</summary>
    public bool HasListeners(XfrmGroup group) => _members[(int)group].Count != 0 || _wide.Any(this, group);

    public NetlinkSocket? AtPort(uint port) => _ports.GetValueOrDefault(port);

    /// <summary><c>netlink_insert</c>: false where the port is taken.</summary>
    public bool TryTake(uint port, NetlinkSocket socket)
    {
        // Linux frees the port in close(2), of which we hear a moment later.
        if (_ports.TryGetValue(port, out NetlinkSocket? holder) && !holder.IsClosed)
        {
            return false;
        }
        _ports[port] = socket;
        return true;
    }

    /// <summary><c>netlink_autobind</c>: the thread group id, or where that is taken a random negative number.</summary>
    public uint TakeAny(int tgid, NetlinkSocket socket)
    {
        uint port = (uint)tgid;
        while (port == 0 || !TryTake(port, socket))
        {
            port = (uint)RandomNumberGenerator.GetInt32(int.MinValue, LastNegative + 1);
        }
        return port;
    }

    public void Release(uint port, NetlinkSocket socket)
    {
        if (_ports.GetValueOrDefault(port) == socket)
        {
            _ports.Remove(port);
        }
    }

    /// <summary>NETLINK_LISTEN_ALL_NSID.</summary>
    public void Widen(NetlinkSocket socket, bool listens) => _wide.Set(socket, listens);

    public void Join(XfrmGroup group, NetlinkSocket socket) => _members[(int)group].Add(socket);

    public void Leave(XfrmGroup group, NetlinkSocket socket) => _members[(int)group].Remove(socket);

    /// <summary><c>netlink_broadcast</c> of what a program sends: to each member but itself and the port that gets it directly.</summary>
    public void Forward(XfrmGroup group, ReadOnlySpan<byte> datagram, NetlinkSocket sender, uint addressee)
    {
        foreach (NetlinkSocket member in _members[(int)group])
        {
            if (member != sender && member.Port != addressee)
            {
                member.Receive(datagram, group, sender.Port);
            }
        }
        _ = _wide.Tell(this, group, datagram, sender.Port, addressee);
    }

    /// <summary><c>nlmsg_multicast</c>: one datagram to each member, the one whose request caused it included. True where there is a member.</summary>
    public bool Multicast(XfrmGroup group, ReadOnlySpan<byte> datagram)
    {
        List<NetlinkSocket> members = _members[(int)group];
        foreach (NetlinkSocket member in members)
        {
            member.Receive(datagram, group);
        }
        return _wide.Tell(this, group, datagram) || members.Count != 0;
    }
}
