using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Packets;

/// <summary>
/// The routing table <c>local</c> of a network namespace: what the kernel takes for itself (addresses of interfaces, broadcast). Made in the
/// namespace; reading and waiting may be done from any one thread.
/// </summary>
public sealed class LocalTable : IDisposable
{
    private const ushort RTM_NEWLINK = 16, RTM_DELLINK = 17, RTM_GETLINK = 18, RTM_NEWROUTE = 24, RTM_GETROUTE = 26, RTM_NEWNETCONF = 80, RTA_DST = 1;
    private const byte RT_TABLE_LOCAL = 255, RTN_LOCAL = 2, RTN_BROADCAST = 3, RTN_ANYCAST = 4;
    private const int AF_NETLINK = 16, MessageSize = 65536;
    private const uint RTMGRP_LINK = 1, RTMGRP_IPV4_ROUTE = 0x40, RTMGRP_IPV6_ROUTE = 0x400, IPV4_NETCONF = 1 << 23;   // RTNLGRP_IPV4_NETCONF is 24
    private readonly NetlinkClient _netlink = new(NetlinkConstants.NETLINK_ROUTE);
    private readonly NetlinkWriter _writer = new();
    private readonly byte[] _message = PinnedArray.Create(MessageSize);

    public LocalTable() => Changes = Subscribe();

    /// <summary>Readable when routes, devices or whether they forward have changed.</summary>
    public SafeFileHandle Changes { get; }

    /// <summary>Whether something has been told that nobody has taken.</summary>
    public unsafe bool HasChanges
    {
        get
        {
            pollfd changes = new() { fd = (int)Changes.DangerousGetHandle(), events = POLLIN };
            return poll(&changes, 1, 0) > 0;
        }
    }

    /// <summary>Takes what has been told so far. True: the local table, the devices or whether they forward may have changed.</summary>
    public unsafe bool TakeChanges()
    {
        bool changed = false;
        for (; ; )
        {
            nint length = (nint)recv((int)Changes.DangerousGetHandle(), PinnedArray.Pointer(_message), MessageSize, MSG_DONTWAIT);
            if (length < 0)
            {
                // ENOBUFS: some were lost.
                return changed || Libc.LastErrno == Libc.ENOBUFS;
            }
            changed |= Concerns(_message.AsSpan(0, (int)length));
        }
    }

    /// <summary>All that is local now: address bytes (4 or 16) and prefix length.</summary>
    public List<(byte[] Address, int PrefixLength)> Read()
    {
        List<(byte[], int)> found = [];
        foreach (byte family in (ReadOnlySpan<byte>)[(byte)SocketAddresses.AF_INET, (byte)SocketAddresses.AF_INET6])
        {
            _writer.Clear();
            _writer.BeginMessage(RTM_GETROUTE, NetlinkConstants.NLM_F_REQUEST | NetlinkConstants.NLM_F_DUMP, new RouteHeader { Family = family });
            _writer.EndMessage();
            _ = _netlink.Exchange(_writer.Written, reply =>
            {
                if (reply.Type != RTM_NEWROUTE || reply.Body.Length < Marshal.SizeOf<RouteHeader>())
                {
                    return;
                }
                RouteHeader route = MemoryMarshal.Read<RouteHeader>(reply.Body);
                if (route.Table == RT_TABLE_LOCAL && route.Type is RTN_LOCAL or RTN_BROADCAST or RTN_ANYCAST)
                {
                    byte[] address = new byte[route.Family == SocketAddresses.AF_INET ? 4 : 16];
                    ReadOnlySpan<byte> destination = reply.Attribute(Marshal.SizeOf<RouteHeader>(), RTA_DST);
                    destination[..Math.Min(destination.Length, address.Length)].CopyTo(address);
                    found.Add((address, route.DestinationLength));
                }
            });
        }
        return found;
    }

    /// <summary>The kinds of devices that there are, as numbers of ARPHRD_*.</summary>
    public HashSet<ushort> ReadDeviceTypes()
    {
        HashSet<ushort> types = [];
        _writer.Clear();
        _writer.BeginMessage(RTM_GETLINK, NetlinkConstants.NLM_F_REQUEST | NetlinkConstants.NLM_F_DUMP, default(LinkHeader));
        _writer.EndMessage();
        _ = _netlink.Exchange(_writer.Written, reply =>
        {
            if (reply.Type == RTM_NEWLINK && reply.Body.Length >= Marshal.SizeOf<LinkHeader>())
            {
                types.Add(MemoryMarshal.Read<LinkHeader>(reply.Body).Type);
            }
        });
        return types;
    }

    public void Dispose()
    {
        _netlink.Dispose();
        Changes.Dispose();
    }

    private static bool Concerns(ReadOnlySpan<byte> messages)
    {
        const int HeaderSize = 16;
        while (messages.Length >= HeaderSize + Marshal.SizeOf<RouteHeader>())
        {
            int length = (int)Math.Min(MemoryMarshal.Read<uint>(messages), (uint)messages.Length);
            if (length < HeaderSize + Marshal.SizeOf<RouteHeader>())
            {
                return false;
            }
            ushort type = MemoryMarshal.Read<ushort>(messages[sizeof(uint)..]);
            if (type is RTM_NEWLINK or RTM_DELLINK or RTM_NEWNETCONF || MemoryMarshal.Read<RouteHeader>(messages[HeaderSize..]).Table == RT_TABLE_LOCAL)
            {
                return true;
            }
            messages = messages[Math.Min((length + 3) & ~3, messages.Length)..];
        }
        return false;
    }

    private static unsafe SafeFileHandle Subscribe()
    {
        int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NetlinkConstants.NETLINK_ROUTE);
        SafeFileHandle handle = new(Libc.Check(descriptor, "socket(AF_NETLINK)"), ownsHandle: true);
        NetlinkAddress address = new() { Family = AF_NETLINK, Groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | IPV4_NETCONF };
        Libc.Check(bind(descriptor, (sockaddr*)&address, (uint)sizeof(NetlinkAddress)), "bind(AF_NETLINK)");
        return handle;
    }

    /// <summary><c>struct sockaddr_nl</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct NetlinkAddress
    {
        public ushort Family;
        public ushort Pad;
        public uint Port;
        public uint Groups;
    }
}
