using System.Numerics;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink;

internal sealed partial class NetlinkSocket
{
    private const ushort AfUnspec = 0;
    private const int GroupShift = 32, NumberShift = 40, MaxNumber = (1 << 24) - 1;
    private uint _port;
    private bool _bound;
    private uint _groups;
    private SockAddrNl _peer = new() { Family = SockAddrNl.AfNetlink };
    private bool _connected;

    /// <summary><c>nlk->portid</c>.</summary>
    public uint Port => _port;

    /// <summary><c>netlink_bind</c>.</summary>
    public Errno Bind(ReadOnlySpan<byte> address, in Caller caller)
    {
        lock (Gate)
        {
            if (!MemoryMarshal.TryRead(address, out SockAddrNl wanted) || wanted.Family != SockAddrNl.AfNetlink)
            {
                return Errno.EINVAL;
            }
            if (wanted.Groups != 0 && !(caller.NetAdmin && _opener.NetAdmin))
            {
                return Errno.EPERM;
            }
            _hasGroups |= wanted.Groups != 0;
            if (_bound)
            {
                if (wanted.Pid != _port)
                {
                    return Errno.EINVAL;
                }
            }
            else if (wanted.Pid == 0)
            {
                BindAny(caller);
            }
            else
            {
                _port = wanted.Pid;   // and stays so where another has it (netlink_insert), until one is found
                if (!_namespace.TryTake(wanted.Pid, this))
                {
                    return Errno.EADDRINUSE;
                }
                _bound = true;
            }
            SetLowGroups(wanted.Groups);
            return Errno.None;
        }
    }

    /// <summary><c>netlink_connect</c>.</summary>
    public Errno Connect(ReadOnlySpan<byte> address, in Caller caller)
    {
        lock (Gate)
        {
            if (!MemoryMarshal.TryRead(address, out ushort family))
            {
                return Errno.EINVAL;
            }
            if (family == AfUnspec)
            {
                _peer = new SockAddrNl { Family = SockAddrNl.AfNetlink };
                _connected = false;
                return Errno.None;
            }
            if (family != SockAddrNl.AfNetlink || !MemoryMarshal.TryRead(address, out SockAddrNl peer))
            {
                return Errno.EINVAL;
            }
            if ((peer.Pid | peer.Groups) != 0 && !caller.NetAdmin)
            {
                return Errno.EPERM;
            }
            BindAny(caller);
            // dst_group = ffs(nl_groups)
            _peer = new SockAddrNl { Family = SockAddrNl.AfNetlink, Pid = peer.Pid, Groups = peer.Groups & (uint)-(int)peer.Groups };
            _connected = true;
            return Errno.None;
        }
    }

    public Errno GetSocketName(Span<byte> address, out int written)
    {
        lock (Gate)
        {
            written = Write(address, new SockAddrNl { Family = SockAddrNl.AfNetlink, Pid = _port, Groups = _groups });
            return Errno.None;
        }
    }

    public Errno GetPeerName(Span<byte> address, out int written)
    {
        lock (Gate)
        {
            written = Write(address, _peer);
            return Errno.None;
        }
    }

    /// <summary>
    /// Port 0 is the kernel's, others are programs'. Where nothing has come yet and we must say what will: an answer of the kernel where the
    /// socket is in no group, else a notification of the lowest group that it has joined.
    /// </summary>
    public int GetReceiveAddress(Span<byte> address, int place)
    {
        ulong source = _buffer.SourceOf(place, Source(_groups == 0 ? default : (XfrmGroup)(BitOperations.TrailingZeroCount(_groups) + 1), 0, null));
        XfrmGroup group = GroupOf(source);
        return Write(address, new SockAddrNl { Family = SockAddrNl.AfNetlink, Pid = (uint)source, Groups = group == default ? 0 : 1u << ((int)group - 1) });
    }

    // What a datagram's source is for the buffer: the namespace's number and one, the group, the port. Numbers above 2^24 are not told.
    private static ulong Source(XfrmGroup group, uint port, int? number) =>
        (number is >= 0 and < MaxNumber ? (ulong)(number.Value + 1) << NumberShift : 0) | ((ulong)group << GroupShift) | port;

    private static XfrmGroup GroupOf(ulong source) => (XfrmGroup)(byte)(source >> GroupShift);

    private static int? NumberOf(ulong source) => source >> NumberShift is not 0 and ulong number ? (int)number - 1 : null;

    /// <summary>A connected socket takes datagrams of its peer alone (<c>netlink_getsockbyportid</c>).</summary>
    private bool TakesFrom(uint port) => !_connected || _peer.Pid == port;

    private void BindAny(in Caller caller)
    {
        if (!_bound)
        {
            _port = _namespace.TakeAny(caller.Tgid, this);
            _bound = true;
        }
    }

    /// <summary>Its creator, where it is still there: Linux keeps the sender's own credentials with the datagram.</summary>
    public int ProcessAt(uint port)
    {
        lock (Gate)
        {
            return port == 0 ? 0 : _namespace.AtPort(port)?._opener.Tgid ?? 0;
        }
    }

    private void SetLowGroups(uint groups)
    {
        for (uint changed = groups ^ _groups; changed != 0; changed &= changed - 1)
        {
            SetMembership((XfrmGroup)(BitOperations.TrailingZeroCount(changed) + 1), (groups & changed & (uint)-(int)changed) != 0);
        }
    }

    private void SetMembership(XfrmGroup group, bool member)
    {
        uint bit = 1u << ((int)group - 1);
        if (((_groups & bit) != 0) == member)
        {
            return;
        }
        _groups ^= bit;
        if (member)
        {
            _namespace.Join(group, this);
        }
        else
        {
            _namespace.Leave(group, this);
        }
    }

    private static int Write(Span<byte> address, in SockAddrNl value)
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<SockAddrNl>(in value));
        bytes[..Math.Min(bytes.Length, address.Length)].CopyTo(address);
        return SockAddrNl.Size;
    }
}
