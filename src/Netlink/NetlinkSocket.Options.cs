using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink;

internal sealed partial class NetlinkSocket
{
    private const int SolNetlink = 270;
    private volatile bool _pktInfo;
    private volatile bool _listenAllNsid;
    private bool _broadcastError;
    private bool _noEnobufs;
    private bool _capAck;
    private bool _extAckOption;
    private bool _strictCheck;
    private bool _hasGroups;

    public bool TellsOrigins => _pktInfo || _listenAllNsid;

    /// <summary><c>netlink_cmsg_recv_pktinfo</c>, <c>netlink_cmsg_listen_all_nsid</c>.</summary>
    public ReceiveOrigin GetReceiveOrigin(int place)
    {
        ulong source = _buffer.SourceOf(place, 0);
        return new ReceiveOrigin(_pktInfo ? (int)GroupOf(source) : null, _listenAllNsid ? NumberOf(source) : null);
    }

    /// <summary><c>netlink_setsockopt</c>.</summary>
    public Errno SetOption(int level, int name, ReadOnlySpan<byte> value, in Caller caller)
    {
        lock (Gate)
        {
            if (level != SolNetlink)
            {
                return Errno.ENOPROTOOPT;
            }
            // A value shorter than an int counts as 0.
            int number = MemoryMarshal.TryRead(value, out int given) ? given : 0;
            switch ((NetlinkOption)name)
            {
                case NetlinkOption.AddMembership or NetlinkOption.DropMembership:
                    if (!(caller.NetAdmin && _opener.NetAdmin))
                    {
                        return Errno.EPERM;
                    }
                    _hasGroups = true;   // netlink_realloc_groups
                    if (number is < 1 or > (int)XfrmGroup.Count)
                    {
                        return Errno.EINVAL;
                    }
                    SetMembership((XfrmGroup)number, (NetlinkOption)name == NetlinkOption.AddMembership);
                    return Errno.None;

                case NetlinkOption.NoEnobufs:
                    lock (_arrivals)
                    {
                        _noEnobufs = number != 0;
                        _congested &= !_noEnobufs;
                    }
                    return Errno.None;

                case NetlinkOption.ListenAllNsid:
                    if (!caller.NetBroadcast)
                    {
                        return Errno.EPERM;
                    }
                    _listenAllNsid = number != 0;
                    _namespace.Widen(this, _listenAllNsid);
                    return Errno.None;

                default:
                    if (FlagOf((NetlinkOption)name, out Errno errno) is { } set)
                    {
                        set(this, number != 0);
                    }
                    return errno;
            }
        }
    }

    /// <summary><c>netlink_getsockopt</c>.</summary>
    public Errno GetOption(int level, int name, Span<byte> value, out int written)
    {
        lock (Gate)
        {
            written = 0;
            if (level != SolNetlink)
            {
                return Errno.ENOPROTOOPT;
            }
            if ((NetlinkOption)name == NetlinkOption.ListMemberships)
            {
                // A socket that never had to do with groups has no room for any.
                if (_hasGroups)
                {
                    MemoryMarshal.TryWrite(value, _groups);
                    written = sizeof(uint);
                }
                return Errno.None;
            }
            bool? flag = (NetlinkOption)name switch
            {
                NetlinkOption.PktInfo => _pktInfo,
                NetlinkOption.BroadcastError => _broadcastError,
                NetlinkOption.NoEnobufs => _noEnobufs,
                NetlinkOption.ListenAllNsid => _listenAllNsid,
                NetlinkOption.CapAck => _capAck,
                NetlinkOption.ExtAck => _extAckOption,
                NetlinkOption.GetStrictChk => _strictCheck,
                _ => null,
            };
            if (flag is null)
            {
                return Errno.ENOPROTOOPT;
            }
            if (value.Length < sizeof(int))
            {
                return Errno.EINVAL;
            }
            MemoryMarshal.Write(value, flag.Value ? 1 : 0);
            written = sizeof(int);
            return Errno.None;
        }
    }

    private static Action<NetlinkSocket, bool>? FlagOf(NetlinkOption option, out Errno errno)
    {
        Action<NetlinkSocket, bool>? set = option switch
        {
            NetlinkOption.PktInfo => static (s, on) => s._pktInfo = on,
            NetlinkOption.BroadcastError => static (s, on) => s._broadcastError = on,
            NetlinkOption.CapAck => static (s, on) => s._capAck = on,
            NetlinkOption.ExtAck => static (s, on) => s._extAckOption = on,
            NetlinkOption.GetStrictChk => static (s, on) => s._strictCheck = on,
            _ => null,
        };
        errno = set is null ? Errno.ENOPROTOOPT : Errno.None;
        return set;
    }
}
