using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Bpf;

namespace Xfrmd.Linux.Packets;

/// <summary>
/// Gives what is written to a TUN device a mark (<c>skb->mark</c>), which write(2) cannot tell: a program of eBPF at the device takes it from memory that is
/// shared with it, within the write. All that is written to the device must go through here. Not with packets steered to other processors
/// (<c>rps_cpus</c> of the device), which are looked at later. Linux 6.6 (tcx), with CAP_BPF or CAP_SYS_ADMIN over the machine. Any thread.
/// </summary>
public sealed unsafe class TunMark : IDisposable
{
    private readonly Lock _gate = new();
    private readonly SafeFileHandle _map, _link;
    private byte* _mark;
    private uint _current;

    private TunMark(int ifindex)
    {
        _map = BpfCalls.CreateMap(BpfCalls.MapArray, sizeof(uint), sizeof(uint), 1, BpfCalls.Mappable);
        try
        {
            _mark = MappedMemory.Map((int)_map.DangerousGetHandle(), 0, Environment.SystemPageSize);
            using SafeFileHandle program = BpfCalls.LoadClassifier(Program());
            _link = BpfCalls.Attach(program, ifindex, BpfCalls.TcxIngress);
        }
        catch
        {
            Unmap();
            _map.Dispose();
            throw;
        }
    }

    /// <summary>For a device of the calling thread's network namespace; null, with the reason: the kernel cannot, or we may not.</summary>
    public static TunMark? TryAttach(int ifindex, out string? obstacle)
    {
        try
        {
            obstacle = null;
            return new TunMark(ifindex);
        }
        catch (LinuxException e)
        {
            obstacle = e.Message;
            return null;
        }
    }

    /// <summary>Writes one packet, as <see cref="TunQueue.Write"/>, with a mark.</summary>
    public int Write(TunQueue queue, GatherList parts, uint mark)
    {
        // Held by who writes packets alone: the inbound thread, and now and then an outbound one with an ICMP error.
        lock (_gate)
        {
            if (mark != _current && _mark is not null)
            {
                _current = mark;
                Volatile.Write(ref Unsafe.AsRef<uint>(_mark), mark);
            }
            return queue.Write(parts);
        }
    }

    public void Dispose()
    {
        _link.Dispose();
        lock (_gate)
        {
            Unmap();
        }
        _map.Dispose();
    }

    private void Unmap() => MappedMemory.Unmap(ref _mark, Environment.SystemPageSize);

    private BpfInstruction[] Program()
    {
        const int Mark = 8, Next = -1;   // of struct __sk_buff; TCX_NEXT
        BpfProgram p = new();
        p.ValueOf(BpfProgram.R2, (int)_map.DangerousGetHandle());
        p.Read32(BpfProgram.R2, BpfProgram.R2, 0);
        p.Write32(BpfProgram.R1, Mark, BpfProgram.R2);
        p.Set(BpfProgram.R0, Next);
        p.Return();
        return p.Assemble();
    }
}
