using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Bpf;

namespace Xfrmd.Linux.Packets;

/// <summary>
/// Sends what is about to leave by some links with a mark into other devices instead: a program of eBPF behind all netfilter hooks, where routing has
/// been done with. A number in the mark says which device; without one, or when it has gone, the packet is dropped. So the program stays attached when
/// its maker is killed, and drops what it took: <see cref="RemoveLeftovers"/>. Linux 6.6 (tcx), with CAP_BPF or CAP_SYS_ADMIN over the machine. Not thread-safe.
/// </summary>
public sealed class MarkRedirect : IDisposable
{
    private readonly uint _bit;
    private readonly int _shift, _numbers;
    private readonly SafeFileHandle _devices, _program;
    private readonly HashSet<int> _links = [];

    /// <param name="bit">The mark that has it is redirected; the highest bit stays out.</param>
    /// <param name="shift">Where in the mark the number begins.</param>
    /// <param name="numbers">How many there are, a power of two.</param>
    public MarkRedirect(uint bit, int shift, int numbers)
    {
        (_bit, _shift, _numbers) = (bit, shift, numbers);
        _devices = BpfCalls.CreateMap(BpfCalls.MapArray, sizeof(uint), sizeof(uint), numbers);
        try
        {
            _program = BpfCalls.LoadClassifier(Program(), Name);
        }
        catch
        {
            _devices.Dispose();
            throw;
        }
    }

    private static ReadOnlySpan<byte> Name => "xfrmd_redirect"u8;

    /// <summary>The links whose packets are looked at, by index.</summary>
    public IReadOnlyCollection<int> Links => _links;

    /// <summary>Where packets with a number go.</summary>
    public void SetDevice(int number, int ifindex) => BpfCalls.Update(_devices, Bytes(number), Bytes(ifindex));

    /// <summary>Looks at a link of the calling thread's network namespace. False: it has gone, or there is no room.</summary>
    public bool TryAttach(int ifindex)
    {
        try
        {
            BpfCalls.AttachForGood(_program, ifindex, BpfCalls.TcxEgress);
        }
        catch (LinuxException)
        {
            return false;
        }
        return _links.Add(ifindex);
    }

    /// <summary>Looks at it no longer, in the same namespace.</summary>
    public void Detach(int ifindex)
    {
        _links.Remove(ifindex);
        try
        {
            BpfCalls.Detach(_program, ifindex, BpfCalls.TcxEgress);
        }
        catch (LinuxException)
        {
            // The link has gone, and the program with it.
        }
    }

    /// <summary>Takes away what one who was killed has left on links of the calling thread's network namespace.</summary>
    public static void RemoveLeftovers(IEnumerable<int> links)
    {
        foreach (int ifindex in links)
        {
            BpfCalls.DetachNamed(Name, ifindex, BpfCalls.TcxEgress);
        }
    }

    /// <summary>What is attached stays so: <see cref="Detach"/> first.</summary>
    public void Dispose()
    {
        _program.Dispose();
        _devices.Dispose();
    }

    private static ReadOnlySpan<byte> Bytes(int value) => MemoryMarshal.AsBytes<int>(new[] { value });

    private BpfInstruction[] Program()
    {
        const int Mark = 8, Next = -1, Drop = 2;   // of struct __sk_buff; TCX_NEXT, TCX_DROP
        const int LookUp = 1, Redirect = 23, Key = -4;
        BpfProgram p = new();
        p.Read32(BpfProgram.R6, BpfProgram.R1, Mark);
        p.Copy(BpfProgram.R2, BpfProgram.R6);
        p.Mask(BpfProgram.R2, (int)_bit);
        p.IfEqual(BpfProgram.R2, 0, "pass");
        p.Shift(BpfProgram.R6, _shift);
        p.Mask(BpfProgram.R6, _numbers - 1);
        p.Write32(BpfProgram.Frame, Key, BpfProgram.R6);
        p.Map(BpfProgram.R1, (int)_devices.DangerousGetHandle());
        p.Copy(BpfProgram.R2, BpfProgram.Frame);
        p.Increase(BpfProgram.R2, Key);
        p.CallHelper(LookUp);
        p.IfEqual(BpfProgram.R0, 0, "drop");
        p.Read32(BpfProgram.R1, BpfProgram.R0, 0);
        p.IfEqual(BpfProgram.R1, 0, "drop");
        p.Set(BpfProgram.R2, 0);
        p.CallHelper(Redirect);
        p.Return();
        p.Label("drop");
        p.Set(BpfProgram.R0, Drop);
        p.Return();
        p.Label("pass");
        p.Set(BpfProgram.R0, Next);
        p.Return();
        return p.Assemble();
    }
}
