using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using Xfrmd.Linux.Seccomp;
using Xfrmd.Linux.Sockets;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Packets;

/// <summary>
/// A TPACKET_V2 ring (uapi/linux/if_packet.h): the ESP that arrives on one link for this host, as the link delivers it, before netfilter and
/// routing have seen it. One reader.
/// </summary>
public sealed unsafe class PacketRing : ILinkRing
{
    private const ushort AF_PACKET = 17;
    private const int SOL_PACKET = 263, PACKET_RX_RING = 5, PACKET_VERSION = 10, PACKET_IGNORE_OUTGOING = 23, TPACKET_V2 = 1;
    private const int FrameSize = 2048, FrameCount = 2048, BlockSize = 1 << 18;
    private const uint TP_STATUS_USER = 1, TP_STATUS_VLAN_VALID = 0x10;
    private const int StatusAt = 0, SnapLengthAt = 8, NetworkAt = 14, VlanAt = 24, HeaderSize = 32;   // struct tpacket2_hdr; sockaddr_ll follows
    private const int PacketTypeAt = HeaderSize + 10;
    private const byte PACKET_OTHERHOST = 3;
    private const ushort VlanIdMask = 0xFFF;
    private const int SO_ATTACH_FILTER = 26;
    private readonly SafeFileHandle _socket;
    private byte* _frames;
    private int _next;

    /// <summary>Opens it in the calling thread's network namespace; nothing is received before <see cref="Bind"/>.</summary>
    public PacketRing()
    {
        int descriptor = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        _socket = new SafeFileHandle(Libc.Check(descriptor, "socket(AF_PACKET)"), ownsHandle: true);
        try
        {
            uint* request = stackalloc uint[] { BlockSize, FrameSize * FrameCount / BlockSize, FrameSize, FrameCount };   // struct tpacket_req
            SockFilter[] filter = EspFilter();
            if (!SocketOptions.TrySetInt(_socket, SOL_PACKET, PACKET_VERSION, TPACKET_V2)
                || !SocketOptions.TrySetInt(_socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
                || setsockopt(descriptor, SOL_PACKET, PACKET_RX_RING, request, 4 * sizeof(uint)) != 0
                || !TryAttach(descriptor, filter))
            {
                throw new LinuxException(Libc.LastErrno, "PACKET_RX_RING");
            }
            _frames = MappedMemory.Map(descriptor, 0, FrameSize * FrameCount);
        }
        catch
        {
            _socket.Dispose();
            throw;
        }
    }

    public SafeFileHandle Handle => _socket;

    /// <summary>A packet whose IP header says less than this (IPv4: in all, IPv6: behind the header) fits a frame; its low byte is 0, so that the high byte tells.</summary>
    public const int LengthLimit = 0x700;

    /// <summary>From now on it receives from this link.</summary>
    public void Bind(int ifindex)
    {
        byte* address = stackalloc byte[LinkAddress.Size];
        const ushort All = 3;   // ETH_P_ALL: before the link's ingress hook
        LinkAddress.Write(new Span<byte>(address, LinkAddress.Size), All, ifindex, []);
        Libc.Check(bind((int)_socket.DangerousGetHandle(), (sockaddr*)address, LinkAddress.Size), "bind(AF_PACKET)");
    }

    public int Count(int limit)
    {
        int count = 0;
        while (count < limit && (Volatile.Read(ref Unsafe.AsRef<uint>(Frame(_next + count) + StatusAt)) & TP_STATUS_USER) != 0)
        {
            count++;
        }
        return count;
    }

    public ReadOnlySpan<byte> Peek()
    {
        byte* frame = Frame(_next);
        uint status = *(uint*)(frame + StatusAt);
        int network = *(ushort*)(frame + NetworkAt);
        uint length = *(uint*)(frame + SnapLengthAt);
        bool isTagged = (status & TP_STATUS_VLAN_VALID) != 0 && (*(ushort*)(frame + VlanAt) & VlanIdMask) != 0;
        return frame[PacketTypeAt] < PACKET_OTHERHOST && !isTagged && network + length <= FrameSize ? new ReadOnlySpan<byte>(frame + network, (int)length) : default;
    }

    public void Release()
    {
        Volatile.Write(ref Unsafe.AsRef<uint>(Frame(_next) + StatusAt), 0);
        _next = (_next + 1) % FrameCount;
    }

    private byte* Frame(int index) => _frames + ((long)(index % FrameCount) * FrameSize);

    public void EndBatch()
    {
        // Each frame went back by itself.
    }

    public void PrepareWait()
    {
        // The kernel knows who waits.
    }

    public void Dispose()
    {
        MappedMemory.Unmap(ref _frames, FrameSize * FrameCount);
        _socket.Dispose();
    }

    /// <summary>ESP right behind an IPv4 or IPv6 header: the packet begins there, as the socket is SOCK_DGRAM.</summary>
    internal static SockFilter[] EspFilter()
    {
        // linux/bpf_common.h, linux/filter.h: SKF_AD_OFF + SKF_AD_PROTOCOL.
        const ushort LoadHalf = 0x28, LoadByte = 0x30, JumpEqual = 0x15, Return = 0x06;
        const uint Protocol = 0xFFFFF000, All = 0x40000, Ipv4ProtocolAt = 9, Ipv6NextHeaderAt = 6, Esp = 50;
        return
        [
            new(LoadHalf, 0, 0, Protocol),
            new(JumpEqual, 0, 2, LinkAddress.ProtocolIpv4),
            new(LoadByte, 0, 0, Ipv4ProtocolAt),
            new(JumpEqual, 3, 4, Esp),
            new(JumpEqual, 0, 3, LinkAddress.ProtocolIpv6),
            new(LoadByte, 0, 0, Ipv6NextHeaderAt),
            new(JumpEqual, 0, 1, Esp),
            new(Return, 0, 0, All),
            new(Return, 0, 0, 0),
        ];
    }

    private static bool TryAttach(int descriptor, SockFilter[] filter)
    {
        fixed (SockFilter* code = filter)
        {
            SockFprog program = new() { Length = (ushort)filter.Length, Filter = (nint)code };
            return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, (uint)sizeof(SockFprog)) == 0;
        }
    }
}
