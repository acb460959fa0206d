using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using Xfrmd.Linux.Sockets;
using static Tmds.Linux.LibC;

namespace Xfrmd.Linux.Packets;

/// <summary>
/// Sends frames on one link through AF_XDP (uapi/linux/if_xdp.h), copied: past the link's queueing discipline, its egress hook and who looks at it
/// (tcpdump), so only for where none of these is. A quarter less of the kernel's time than AF_PACKET. Receives nothing and
/// needs no program. One thread.
/// </summary>
public sealed unsafe class FrameSender : IDisposable
{
    /// <summary>The largest packet.</summary>
    public const int MaxPacket = FrameSize - EthernetHeader;

    private const int AF_XDP = 44, SOL_XDP = 283, XDP_MMAP_OFFSETS = 1, XDP_TX_RING = 3, XDP_UMEM_REG = 4, XDP_UMEM_FILL_RING = 5, XDP_UMEM_COMPLETION_RING = 6,
        XDP_MAX_TX_SKB_BUDGET = 9;
    private const ushort XDP_COPY = 2;
    private const long TransmitRing = 0x80000000, CompletionRing = 0x180000000;   // XDP_PGOFF_TX_RING, XDP_UMEM_PGOFF_COMPLETION_RING
    private const int FrameSize = 2048, Frames = 256, Completions = 4096, Budget = 64, EthernetHeader = 14, DescriptorSize = 16, MaxKicks = 16;
    private readonly SafeFileHandle _socket;
    private byte* _memory, _transmit, _complete;
    private readonly int _transmitSize, _completeSize;
    private readonly uint* _produced, _consumed, _completed, _collected;
    private readonly byte* _descriptors;
    private uint _filled;

    /// <summary>Opens one for the first queue of a link of the calling thread's network namespace; only one at a time can have it.</summary>
    public FrameSender(int ifindex, uint mark, int sendBuffer)
    {
        _socket = PacketSockets.Open(AF_XDP, SOCK_RAW, 0, mark, 0, sendBuffer);
        try
        {
            Ifindex = ifindex;
            _memory = MappedMemory.Map(MappedMemory.Anonymous, 0, Frames * FrameSize);
            ulong* area = stackalloc ulong[] { (ulong)_memory, Frames * FrameSize, FrameSize, 0 };   // struct xdp_umem_reg
            Set(XDP_UMEM_REG, area, 4 * sizeof(ulong));
            SetInt(XDP_UMEM_FILL_RING, Frames);
            SetInt(XDP_UMEM_COMPLETION_RING, Completions);
            SetInt(XDP_TX_RING, Frames);
            _ = SocketOptions.TrySetInt(_socket, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, Budget);   // Linux 6.18; 32 before
            // struct xdp_mmap_offsets: producer, consumer, descriptors and flags of the rings for receiving, sending, filling, completion.
            ulong* offsets = stackalloc ulong[16];
            socklen_t size = 16 * sizeof(ulong);
            Libc.Check(getsockopt(Descriptor, SOL_XDP, XDP_MMAP_OFFSETS, offsets, &size), "getsockopt(XDP_MMAP_OFFSETS)");
            ulong* sending = offsets + 4, completion = offsets + 12;
            (_transmitSize, _completeSize) = ((int)sending[2] + (Frames * DescriptorSize), (int)completion[2] + (Completions * sizeof(ulong)));
            _transmit = MappedMemory.Map(Descriptor, TransmitRing, _transmitSize);
            _complete = MappedMemory.Map(Descriptor, CompletionRing, _completeSize);
            _produced = (uint*)(_transmit + sending[0]);
            _consumed = (uint*)(_transmit + sending[1]);
            _descriptors = _transmit + sending[2];
            _completed = (uint*)(_complete + completion[0]);
            _collected = (uint*)(_complete + completion[1]);
            uint* address = stackalloc uint[] { AF_XDP | XDP_COPY << 16, (uint)ifindex, 0, 0 };   // struct sockaddr_xdp
            Libc.Check(bind(Descriptor, (sockaddr*)address, 4 * sizeof(uint)), "bind(AF_XDP)");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public int Ifindex { get; }

    private int Descriptor => (int)_socket.DangerousGetHandle();

    /// <summary>Copies a packet behind those that <see cref="Send"/> will send. False: there is no room.</summary>
    /// <param name="packet">From its IP header on; at most <see cref="MaxPacket"/>.</param>
    /// <param name="header">Its Ethernet header.</param>
    public bool TryAdd(ReadOnlySpan<byte> packet, ReadOnlySpan<byte> header)
    {
        if (_filled - Volatile.Read(ref *_consumed) >= Frames)
        {
            return false;
        }
        uint frame = _filled % Frames;
        Span<byte> room = new(_memory + (frame * FrameSize), FrameSize);
        header.CopyTo(room);
        packet.CopyTo(room[EthernetHeader..]);
        byte* descriptor = _descriptors + (frame * DescriptorSize);
        *(ulong*)descriptor = frame * FrameSize;
        *(ulong*)(descriptor + sizeof(ulong)) = (uint)(EthernetHeader + packet.Length);   // length, and no options
        _filled++;
        return true;
    }

    /// <summary>Sends what was added. How many still wait: the link is not what it was.</summary>
    public int Send()
    {
        Volatile.Write(ref *_produced, _filled);
        uint consumed = Volatile.Read(ref *_consumed);
        for (int kicks = 0; consumed != _filled && kicks < MaxKicks; kicks++)
        {
            // What has left is ours again at once, as it was copied; the list of it needs only to be emptied.
            Volatile.Write(ref *_collected, Volatile.Read(ref *_completed));
            _ = sendto(Descriptor, null, 0, PacketCalls.MSG_DONTWAIT, null, 0);
            consumed = Volatile.Read(ref *_consumed);
        }
        return (int)(_filled - consumed);
    }

    public void Dispose()
    {
        _socket.Dispose();
        MappedMemory.Unmap(ref _transmit, _transmitSize);
        MappedMemory.Unmap(ref _complete, _completeSize);
        MappedMemory.Unmap(ref _memory, Frames * FrameSize);
    }

    private void SetInt(int option, int value) => Set(option, &value, sizeof(int));

    private void Set(int option, void* value, int size) =>
        Libc.Check(setsockopt(Descriptor, SOL_XDP, option, value, (uint)size), "setsockopt(AF_XDP)");
}
