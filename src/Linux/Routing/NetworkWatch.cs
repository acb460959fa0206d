using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using Xfrmd.Linux.Packets;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Routing;

/// <summary>
/// Hears of everything that may change a packet's way in the network namespace of the thread that made it: links, addresses, routes, rules,
/// neighbours, qdiscs; and knows the generation of nf_tables. For one thread; it never waits and allocates nothing.
/// </summary>
public sealed class NetworkWatch : IDisposable
{
    private const int AF_NETLINK = 16, SOL_NETLINK = 270, NETLINK_ADD_MEMBERSHIP = 1, MessageSize = 32768, HeaderSize = 16, NeighbourHeaderSize = 12;
    private const ushort RTM_NEWNEIGH = 28, RTM_DELNEIGH = 29, NDA_DST = 1;
    private const ushort NFT_MSG_NEWGEN = (10 << 8) | 15, NFT_MSG_GETGEN = (10 << 8) | 16, NFTA_GEN_ID = 1;

    /// <summary><c>enum rtnetlink_groups</c>: LINK, NEIGH, TC, IPV4_IFADDR, _ROUTE, _RULE, IPV6_IFADDR, _ROUTE, _RULE, IPV4_NETCONF, IPV6_NETCONF, NEXTHOP.</summary>
    private static ReadOnlySpan<byte> Groups => [1, 3, 4, 5, 7, 8, 9, 11, 19, 24, 25, 32];

    private readonly byte[] _message = PinnedArray.Create(MessageSize);
    private readonly byte[] _question = PinnedArray.Create(HeaderSize + sizeof(uint));
    private readonly SafeFileHandle _netfilter;

    private readonly SafeFileHandle? _packetSockets;

    public NetworkWatch()
    {
        _packetSockets = File.Exists(PacketSocketsPath) ? File.OpenHandle(PacketSocketsPath) : null;
        Changes = Open(NetlinkConstants.NETLINK_ROUTE);
        _netfilter = Open(NetlinkConstants.NETLINK_NETFILTER);
        foreach (byte group in Groups)
        {
            _ = Sockets.SocketOptions.TrySetInt(Changes, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);   // a kernel without IPv6 has fewer
        }
        _question.AsSpan().Clear();
        MemoryMarshal.Write(_question, (uint)_question.Length);
        MemoryMarshal.Write(_question.AsSpan(4), NFT_MSG_GETGEN);
        MemoryMarshal.Write(_question.AsSpan(6), NetlinkConstants.NLM_F_REQUEST);
    }

    /// <summary>Who looks at links, of the calling thread's namespace.</summary>
    internal const string PacketSocketsPath = "/proc/thread-self/net/packet";

    /// <summary>Readable when something has changed.</summary>
    public SafeFileHandle Changes { get; }

    /// <summary>Takes what has been told so far. True: a way may have changed; neighbours count only where they are among those given.</summary>
    public unsafe bool TakeChanges(HashSet<NeighbourKey> neighbours)
    {
        bool changed = false;
        for (; ; )
        {
            nint length = (nint)recv((int)Changes.DangerousGetHandle(), PinnedArray.Pointer(_message), MessageSize, MSG_DONTWAIT);
            if (length < 0)
            {
                if (Libc.LastErrno == Libc.ENOBUFS)
                {
                    changed = true;   // some were lost
                    continue;
                }
                return changed;
            }
            changed = changed || Concerns(_message.AsSpan(0, (int)length), neighbours);
        }
    }

    /// <summary>A number that every transaction of nf_tables changes; 0 where it is not to be had.</summary>
    public unsafe uint NetfilterGeneration()
    {
        int descriptor = (int)_netfilter.DangerousGetHandle();
        if ((nint)send(descriptor, PinnedArray.Pointer(_question), _question.Length, 0) < 0)
        {
            return 0;
        }
        nint length = (nint)recv(descriptor, PinnedArray.Pointer(_message), MessageSize, MSG_DONTWAIT);   // the answer is there when send returns
        if (length < HeaderSize + sizeof(uint) || MemoryMarshal.Read<ushort>(_message.AsSpan(4)) != NFT_MSG_NEWGEN)
        {
            return 0;
        }
        ReadOnlySpan<byte> generation = NetlinkReply.Find(_message.AsSpan(HeaderSize + sizeof(uint), (int)length - HeaderSize - sizeof(uint)), NFTA_GEN_ID);
        return generation.Length == sizeof(uint) ? BinaryPrimitives.ReadUInt32BigEndian(generation) : 0;
    }

    /// <summary>How many packet sockets there are, ours included.</summary>
    public int PacketSockets()
    {
        int count = 0;
        long offset = 0;
        for (int length; _packetSockets is not null && (length = RandomAccess.Read(_packetSockets, _message, offset)) > 0; offset += length)
        {
            count += _message.AsSpan(0, length).Count((byte)'\n');
        }
        return count;
    }

    public void Dispose()
    {
        _packetSockets?.Dispose();
        Changes.Dispose();
        _netfilter.Dispose();
    }

    private static bool Concerns(ReadOnlySpan<byte> messages, HashSet<NeighbourKey> neighbours)
    {
        while (messages.Length >= HeaderSize)
        {
            int length = (int)Math.Min(MemoryMarshal.Read<uint>(messages), (uint)messages.Length);
            ushort type = MemoryMarshal.Read<ushort>(messages[4..]);
            if (type is not (RTM_NEWNEIGH or RTM_DELNEIGH) || length < HeaderSize + NeighbourHeaderSize)
            {
                return true;
            }
            ReadOnlySpan<byte> body = messages[HeaderSize..length];
            ReadOnlySpan<byte> address = NetlinkReply.Find(body[NeighbourHeaderSize..], NDA_DST);
            if (address.Length is 4 or 16 && neighbours.Contains(NeighbourKey.Of(MemoryMarshal.Read<int>(body[4..]), address)))
            {
                return true;
            }
            messages = messages[Math.Min((length + 3) & ~3, messages.Length)..];
        }
        return false;
    }

    private static unsafe SafeFileHandle Open(int protocol)
    {
        int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
        SafeFileHandle handle = new(Libc.Check(descriptor, "socket(AF_NETLINK)"), ownsHandle: true);
        sockaddr_storage address = default;
        MemoryMarshal.Write(new Span<byte>(&address, sizeof(ushort)), (ushort)AF_NETLINK);
        const int NetlinkAddressSize = 12;
        Libc.Check(bind(descriptor, (sockaddr*)&address, NetlinkAddressSize), "bind(AF_NETLINK)");
        return handle;
    }
}
