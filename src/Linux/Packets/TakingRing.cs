using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Bpf;

namespace Xfrmd.Linux.Packets;

/// <summary>
/// The ESP of known pairs of addresses, taken from a link by a program of eBPF: what it puts into the ring nobody behind it sees, neither
/// netfilter nor a raw socket; what looks at a link before (tcpdump) does. It goes with its descriptors, however the daemon ends. Linux 6.6 (tcx), with CAP_BPF
/// or CAP_SYS_ADMIN over the machine.
/// </summary>
public sealed unsafe class TakingRing : ILinkRing
{
    private const int RingSize = 4 << 20, RecordHeader = 8, RecordSize = (40 + PacketRing.LengthLimit - 1 + 7) & ~7, RecordStride = RecordHeader + RecordSize, CacheLine = 64, MaxPairs = 1024, Addresses4 = 8, Addresses6 = 32;
    private const uint Busy = 1u << 31, Discarded = 1u << 30;   // BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT
    private const uint NoWakeup = 1, ForceWakeup = 2;   // BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP
    private readonly int _page = Environment.SystemPageSize;
    private readonly SafeFileHandle _pairs4, _pairs6, _flags, _link;
    private byte* _consumer, _producer, _wakeup;
    private ulong _position;
    private int _counted;

    /// <summary>Opens it for a link of the calling thread's network namespace; it takes nothing yet.</summary>
    public TakingRing(int ifindex)
    {
        List<SafeFileHandle> opened = [];
        try
        {
            opened.Add(Handle = BpfCalls.CreateMap(BpfCalls.MapRing, 0, 0, RingSize));
            opened.Add(_pairs4 = BpfCalls.CreateMap(BpfCalls.MapHash, Addresses4, sizeof(uint), MaxPairs));
            opened.Add(_pairs6 = BpfCalls.CreateMap(BpfCalls.MapHash, Addresses6, sizeof(uint), MaxPairs));
            opened.Add(_flags = BpfCalls.CreateMap(BpfCalls.MapArray, sizeof(uint), sizeof(uint), 1, BpfCalls.Mappable));
            _consumer = MappedMemory.Map(Descriptor(Handle), 0, _page);
            _producer = MappedMemory.Map(Descriptor(Handle), _page, ProducerSize, isReadOnly: true);
            _wakeup = MappedMemory.Map(Descriptor(_flags), 0, _page);
            SetWakeup(NoWakeup);
            using SafeFileHandle program = BpfCalls.LoadClassifier(Program());
            _link = BpfCalls.Attach(program, ifindex, BpfCalls.TcxIngress);
        }
        catch
        {
            Unmap();
            opened.ForEach(static handle => handle.Dispose());
            throw;
        }
    }

    public SafeFileHandle Handle { get; }

    // kernel/bpf/ringbuf.c: the producer's page, and the data twice, so that no record is cut.
    private int ProducerSize => _page + (2 * RingSize);

    /// <summary>From now on takes the packets from one address to another: both, 8 or 32 bytes.</summary>
    public void Take(ReadOnlySpan<byte> addresses) => BpfCalls.Update(PairsOf(addresses), addresses, [1, 0, 0, 0]);

    /// <summary>From now on leaves them.</summary>
    public void Leave(ReadOnlySpan<byte> addresses) => BpfCalls.Delete(PairsOf(addresses), addresses);

    public int Count(int limit)
    {
        ulong waiting = (Volatile.Read(ref Unsafe.AsRef<ulong>(_producer)) - _position) / RecordStride;
        _counted = 0;
        while (_counted < limit && (ulong)_counted < waiting && (Volatile.Read(ref Unsafe.AsRef<uint>(Record(_counted))) & Busy) == 0)
        {
            _counted++;
        }
        return _counted;
    }

    public ReadOnlySpan<byte> Peek()
    {
        byte* record = Record(0);
        return (*(uint*)record & Discarded) == 0 ? new ReadOnlySpan<byte>(record + RecordHeader, RecordSize) : default;
    }

    public void Release()
    {
        _position += RecordStride;
        if (--_counted > 0 && Sse.IsSupported)
        {
            // Another processor wrote it: it comes while this one computes.
            byte* next = Record(0);
            for (int at = 0; at < RecordStride; at += CacheLine)
            {
                Sse.Prefetch0(next + at);
            }
        }
    }

    private byte* Record(int index) => _producer + _page + ((_position + (ulong)(index * RecordStride)) & (RingSize - 1));

    /// <summary>Once a batch: the program looks at it for each packet, on another processor.</summary>
    public void EndBatch() => Volatile.Write(ref Unsafe.AsRef<ulong>(_consumer), _position);

    /// <summary>The next packet wakes its reader; those that come while it reads wake nobody, which would cost more than the packet.</summary>
    public void PrepareWait()
    {
        SetWakeup(ForceWakeup);
        Interlocked.MemoryBarrier();   // before poll(2) looks whether one is there
    }

    public void Dispose()
    {
        _link.Dispose();
        Unmap();
        _pairs4.Dispose();
        _pairs6.Dispose();
        _flags.Dispose();
        Handle.Dispose();
    }

    private void SetWakeup(uint flag) => Volatile.Write(ref Unsafe.AsRef<uint>(_wakeup), flag);

    private SafeFileHandle PairsOf(ReadOnlySpan<byte> addresses) => addresses.Length == Addresses4 ? _pairs4 : _pairs6;

    private void Unmap()
    {
        MappedMemory.Unmap(ref _consumer, _page);
        MappedMemory.Unmap(ref _producer, ProducerSize);
        MappedMemory.Unmap(ref _wakeup, _page);
    }

    /// <summary>What the program takes: ESP right behind the header of a whole packet for this host, not larger than a record.</summary>
    private BpfInstruction[] Program()
    {
        // struct __sk_buff; include/uapi/linux/tcx: TCX_NEXT, TCX_DROP; the helpers' numbers are those of enum bpf_func_id.
        const int Length = 0, PacketType = 4, VlanPresent = 20, Data = 76, DataEnd = 80, OtherHost = 3, Next = -1, Drop = 2;
        const int LookUp = 1, LoadBytes = 26, Reserve = 131, Submit = 132, Discard = 133;
        const int Ethernet = 14, Header4 = 20, Header6 = 40, Esp = 50, TypeAt = 12, Key = -32;
        const int Ipv4Type = 0x0008, Ipv6Type = 0xDD86;   // as a little-endian machine reads them
        BpfProgram p = new();
        p.Copy(BpfProgram.R6, BpfProgram.R1);
        p.Read32(BpfProgram.R1, BpfProgram.R6, PacketType);
        p.IfAbove(BpfProgram.R1, OtherHost - 1, "pass");
        p.Read32(BpfProgram.R1, BpfProgram.R6, VlanPresent);
        p.IfNotEqual(BpfProgram.R1, 0, "pass");
        p.Read32(BpfProgram.R7, BpfProgram.R6, Data);
        p.Read32(BpfProgram.R8, BpfProgram.R6, DataEnd);
        p.Copy(BpfProgram.R1, BpfProgram.R7);
        p.Increase(BpfProgram.R1, Ethernet + Header4);
        p.IfGreater(BpfProgram.R1, BpfProgram.R8, "pass");
        p.Read16(BpfProgram.R1, BpfProgram.R7, TypeAt);
        p.IfEqual(BpfProgram.R1, Ipv6Type, "ipv6");
        p.IfNotEqual(BpfProgram.R1, Ipv4Type, "pass");

        p.Read8(BpfProgram.R1, BpfProgram.R7, Ethernet);
        p.IfNotEqual(BpfProgram.R1, 0x45, "pass");
        p.Read8(BpfProgram.R1, BpfProgram.R7, Ethernet + 9);
        p.IfNotEqual(BpfProgram.R1, Esp, "pass");
        p.Read16(BpfProgram.R1, BpfProgram.R7, Ethernet + 6);
        p.Swap16(BpfProgram.R1);
        p.Mask(BpfProgram.R1, 0x3FFF);   // more fragments, or an offset
        p.IfNotEqual(BpfProgram.R1, 0, "pass");
        p.Read16(BpfProgram.R9, BpfProgram.R7, Ethernet + 2);
        p.Swap16(BpfProgram.R9);
        p.IfLess(BpfProgram.R9, Header4, "pass");
        p.IfAbove(BpfProgram.R9, PacketRing.LengthLimit - 1, "pass");
        CopyKey(p, Ethernet + 12, Addresses4);
        p.Map(BpfProgram.R1, Descriptor(_pairs4));
        p.GoTo("look up");

        p.Label("ipv6");
        p.Copy(BpfProgram.R1, BpfProgram.R7);
        p.Increase(BpfProgram.R1, Ethernet + Header6);
        p.IfGreater(BpfProgram.R1, BpfProgram.R8, "pass");
        p.Read8(BpfProgram.R1, BpfProgram.R7, Ethernet);
        p.Shift(BpfProgram.R1, 4);
        p.IfNotEqual(BpfProgram.R1, 6, "pass");
        p.Read8(BpfProgram.R1, BpfProgram.R7, Ethernet + 6);
        p.IfNotEqual(BpfProgram.R1, Esp, "pass");
        p.Read16(BpfProgram.R9, BpfProgram.R7, Ethernet + 4);
        p.Swap16(BpfProgram.R9);
        p.IfEqual(BpfProgram.R9, 0, "pass");
        p.IfAbove(BpfProgram.R9, PacketRing.LengthLimit - 1, "pass");
        p.Increase(BpfProgram.R9, Header6);
        CopyKey(p, Ethernet + 8, Addresses6);
        p.Map(BpfProgram.R1, Descriptor(_pairs6));

        p.Label("look up");
        p.Copy(BpfProgram.R2, BpfProgram.Frame);
        p.Increase(BpfProgram.R2, Key);
        p.CallHelper(LookUp);
        p.IfEqual(BpfProgram.R0, 0, "pass");
        p.Read32(BpfProgram.R1, BpfProgram.R6, Length);
        p.Increase(BpfProgram.R1, -Ethernet);
        p.IfGreater(BpfProgram.R9, BpfProgram.R1, "pass");   // cut short: the kernel counts that
        p.Map(BpfProgram.R1, Descriptor(Handle));
        p.Set(BpfProgram.R2, RecordSize);
        p.Set(BpfProgram.R3, 0);
        p.CallHelper(Reserve);
        p.IfEqual(BpfProgram.R0, 0, "drop");   // full, as a socket's buffer would be
        p.Copy(BpfProgram.R8, BpfProgram.R0);
        p.Copy(BpfProgram.R1, BpfProgram.R6);
        p.Set(BpfProgram.R2, Ethernet);
        p.Copy(BpfProgram.R3, BpfProgram.R8);
        p.Copy(BpfProgram.R4, BpfProgram.R9);
        p.CallHelper(LoadBytes);
        p.IfNotEqual(BpfProgram.R0, 0, "discard");
        p.ValueOf(BpfProgram.R1, Descriptor(_flags));
        p.Set(BpfProgram.R2, (int)NoWakeup);
        p.Exchange32(BpfProgram.R1, BpfProgram.R2);
        p.Copy(BpfProgram.R1, BpfProgram.R8);
        p.CallHelper(Submit);
        p.Label("drop");
        p.Set(BpfProgram.R0, Drop);
        p.Return();
        p.Label("discard");
        p.Copy(BpfProgram.R1, BpfProgram.R8);
        p.Set(BpfProgram.R2, (int)NoWakeup);
        p.CallHelper(Discard);
        p.Label("pass");
        p.Set(BpfProgram.R0, Next);
        p.Return();
        return p.Assemble();

        static void CopyKey(BpfProgram p, int from, int bytes)
        {
            for (int i = 0; i < bytes; i += sizeof(uint))
            {
                p.Read32(BpfProgram.R1, BpfProgram.R7, from + i);
                p.Write32(BpfProgram.Frame, Key + i, BpfProgram.R1);
            }
        }
    }

    private static int Descriptor(SafeFileHandle handle) => (int)handle.DangerousGetHandle();
}
