using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux.Bpf;

/// <summary>bpf(2). What it makes lives as long as its descriptor; each throws a <see cref="LinuxException"/> where the kernel, or who may, says no.</summary>
internal static unsafe partial class BpfCalls
{
    public const int MapHash = 1, MapArray = 2, MapRing = 27;
    public const uint Mappable = 1 << 10;
    public const int TcxIngress = 46, TcxEgress = 47;
    private const int MapCreate = 0, MapUpdate = 2, MapDelete = 3, ProgramLoad = 5, ProgramQuery = 16, LinkCreate = 28;
    private const int ClassifierProgram = 3;
    private const int AttributeSize = 128;   // of union bpf_attr: what is beyond a command's own is zero

    private static readonly nint Number = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 321 : 280;   // __NR_bpf

    public static SafeFileHandle CreateMap(int type, int keySize, int valueSize, int entries, uint flags = 0)
    {
        uint* attributes = stackalloc uint[AttributeSize / sizeof(uint)];
        Clear(attributes);
        (attributes[0], attributes[1], attributes[2], attributes[3], attributes[4]) = ((uint)type, (uint)keySize, (uint)valueSize, (uint)entries, flags);
        return Open(MapCreate, attributes, "BPF_MAP_CREATE");
    }

    public static void Update(SafeFileHandle map, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        fixed (byte* k = key, v = value)
        {
            ulong* attributes = stackalloc ulong[AttributeSize / sizeof(ulong)];
            Clear(attributes);
            (attributes[0], attributes[1], attributes[2]) = ((uint)map.DangerousGetHandle(), (ulong)k, (ulong)v);
            _ = Libc.Check(Call(MapUpdate, attributes), "BPF_MAP_UPDATE_ELEM");
        }
    }

    public static void Delete(SafeFileHandle map, ReadOnlySpan<byte> key)
    {
        fixed (byte* k = key)
        {
            ulong* attributes = stackalloc ulong[AttributeSize / sizeof(ulong)];
            Clear(attributes);
            (attributes[0], attributes[1]) = ((uint)map.DangerousGetHandle(), (ulong)k);
            _ = Libc.Check(Call(MapDelete, attributes), "BPF_MAP_DELETE_ELEM");
        }
    }

    /// <summary>A program that looks at packets (BPF_PROG_TYPE_SCHED_CLS).</summary>
    public static SafeFileHandle LoadClassifier(ReadOnlySpan<BpfInstruction> code)
    {
        ReadOnlySpan<byte> license = "MIT\0"u8;
        fixed (BpfInstruction* c = code)
        fixed (byte* l = license)
        {
            ulong* attributes = stackalloc ulong[AttributeSize / sizeof(ulong)];
            Clear(attributes);
            (attributes[0], attributes[1], attributes[2]) = (ClassifierProgram | (ulong)code.Length << 32, (ulong)c, (ulong)l);
            return Open(ProgramLoad, attributes, "BPF_PROG_LOAD");
        }
    }

    /// <summary>Attaches a program to a link of the calling thread's network namespace, behind those that are there, until the answer is closed (Linux 6.6).</summary>
    public static SafeFileHandle Attach(SafeFileHandle program, int ifindex, int attachment)
    {
        uint* attributes = stackalloc uint[AttributeSize / sizeof(uint)];
        Clear(attributes);
        (attributes[0], attributes[1], attributes[2]) = ((uint)program.DangerousGetHandle(), (uint)ifindex, (uint)attachment);
        return Open(LinkCreate, attributes, "BPF_LINK_CREATE");
    }

    /// <summary>How many programs are attached to a link there; -1: it cannot be told. Before Linux 6.6 there are none.</summary>
    public static int CountAttached(int ifindex, int attachment)
    {
        const int CountAt = 6;   // query.count, behind the pointer to the numbers
        uint* attributes = stackalloc uint[AttributeSize / sizeof(uint)];
        Clear(attributes);
        (attributes[0], attributes[1]) = ((uint)ifindex, (uint)attachment);
        int result = Call(ProgramQuery, attributes);
        return result >= 0 ? (int)attributes[CountAt] : Libc.LastErrno is Libc.EINVAL or Libc.ENOSYS or Libc.ENOENT ? 0 : -1;
    }

    private static void Clear(void* attributes) => NativeMemory.Clear(attributes, AttributeSize);

    private static SafeFileHandle Open(int command, void* attributes, string name) => new(Libc.Check(Call(command, attributes), name), ownsHandle: true);

    private static int Call(int command, void* attributes) => (int)SystemCall(Number, command, (nint)attributes, AttributeSize);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint command, nint attributes, nint size);
}
