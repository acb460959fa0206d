using System.Runtime.InteropServices;
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

    // Replaced whole: the packet path asks without the gate whether there are any.
    private readonly NetlinkSocket[][] _members = [.. Enumerable.Repeat<NetlinkSocket[]>([], (int)XfrmGroup.Count + 1)];
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
    public bool HasListeners(XfrmGroup group)
    {
        foreach (NetlinkSocket member in Members(group))
        {
            if (!member.IsClosed)
            {
                return true;
            }
        }
        return _wide.Any(this, group, closedToo: false);
    }

    /// <summary>The same for the packet path, which does not ask whether one has just been closed.</summary>
    public bool MayHaveListeners(XfrmGroup group) => Members(group).Length != 0 || _wide.Any(this, group, closedToo: true);

    /// <summary><c>netlink_lookup</c>. Linux frees a port in close(2), of which we hear a moment later.</summary>
    public NetlinkSocket? AtPort(uint port) => _ports.TryGetValue(port, out NetlinkSocket? holder) && !holder.IsClosed ? holder : null;

    /// <summary><c>netlink_insert</c>: false where the port is taken.</summary>
    public bool TryTake(uint port, NetlinkSocket socket)
    {
        if (AtPort(port) is not null)
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

    public void Join(XfrmGroup group, NetlinkSocket socket) => Replace(group, [.. Members(group), socket]);

    public void Leave(XfrmGroup group, NetlinkSocket socket) => Replace(group, [.. Members(group).Where(member => member != socket)]);

    /// <summary><c>netlink_broadcast</c> of what a program sends: to each member but itself and the port that gets it directly.</summary>
    public void Forward(XfrmGroup group, ReadOnlySpan<byte> datagram, NetlinkSocket sender, uint addressee)
    {
        foreach (NetlinkSocket member in Members(group))
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
        NetlinkSocket[] members = Members(group);
        if (!Space.Faults.IsEmpty && MemoryMarshal.TryRead(datagram, out NlMsgHdr header) && Space.Faults.Find(new FaultSubject(IsPfKey: false, IsEvent: true, header.Type)) is not null)
        {
            return members.Length != 0;
        }
        foreach (NetlinkSocket member in members)
        {
            member.Receive(datagram, group);
        }
        return _wide.Tell(this, group, datagram) || members.Length != 0;
    }

    private NetlinkSocket[] Members(XfrmGroup group) => Volatile.Read(ref _members[(int)group]);

    private void Replace(XfrmGroup group, NetlinkSocket[] members) => Volatile.Write(ref _members[(int)group], members);
}
