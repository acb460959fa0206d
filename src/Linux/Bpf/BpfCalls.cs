using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Linux.Bpf;

/// <summary>bpf(2). What it makes lives as long as its descriptor; each throws a <see cref="LinuxException"/> where the kernel, or who may, says no.</summary>
internal static unsafe partial class BpfCalls
{
    public const int MapHash = 1, MapArray = 2, MapRing = 27;
    public const uint Mappable = 1 << 10;
    public const int TcxIngress = 46, TcxEgress = 47;
    private const int MapCreate = 0, MapUpdate = 2, MapDelete = 3, ProgramLoad = 5, ProgramAttach = 8, ProgramDetach = 9, ProgramOfNumber = 13, ObjectInfo = 15,
        ProgramQuery = 16, LinkCreate = 28;
    private const int ClassifierProgram = 3;
    private const int NameSize = 16;
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
    /// <param name="code">The program.</param>
    /// <param name="name">Up to 15 letters by which it is found again.</param>
    public static SafeFileHandle LoadClassifier(ReadOnlySpan<BpfInstruction> code, ReadOnlySpan<byte> name = default)
    {
        const int NameAt = 48;
        ReadOnlySpan<byte> license = "MIT\0"u8;
        fixed (BpfInstruction* c = code)
        fixed (byte* l = license)
        {
            ulong* attributes = stackalloc ulong[AttributeSize / sizeof(ulong)];
            Clear(attributes);
            (attributes[0], attributes[1], attributes[2]) = (ClassifierProgram | (ulong)code.Length << 32, (ulong)c, (ulong)l);
            name.CopyTo(new Span<byte>((byte*)attributes + NameAt, NameSize - 1));
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

    /// <summary>The same until it is detached, or the link goes: it outlives who did it.</summary>
    public static void AttachForGood(SafeFileHandle program, int ifindex, int attachment) =>
        _ = Libc.Check(Exchange(ProgramAttach, program, ifindex, attachment), "BPF_PROG_ATTACH");

    public static void Detach(SafeFileHandle program, int ifindex, int attachment) =>
        _ = Libc.Check(Exchange(ProgramDetach, program, ifindex, attachment), "BPF_PROG_DETACH");

    /// <summary>Detaches the programs of a name from a link of the calling thread's network namespace, whoever attached them. What may not be asked is left.</summary>
    public static void DetachNamed(ReadOnlySpan<byte> name, int ifindex, int attachment)
    {
        const int MaxPrograms = 64, NumbersAt = 2, CountAt = 6;   // query.prog_ids, in eight bytes; query.count
        uint* numbers = stackalloc uint[MaxPrograms];
        uint* attributes = stackalloc uint[AttributeSize / sizeof(uint)];
        Clear(attributes);
        (attributes[0], attributes[1], attributes[CountAt]) = ((uint)ifindex, (uint)attachment, MaxPrograms);
        ((ulong*)attributes)[NumbersAt] = (ulong)numbers;
        if (Call(ProgramQuery, attributes) < 0)
        {
            return;
        }
        for (uint i = 0; i < Math.Min(attributes[CountAt], MaxPrograms); i++)
        {
            using SafeFileHandle? program = OpenNamed(numbers[i], name);
            if (program is not null)
            {
                _ = Exchange(ProgramDetach, program, ifindex, attachment);   // or somebody was quicker
            }
        }
    }

    /// <summary>A program by its number, where it has this name.</summary>
    private static SafeFileHandle? OpenNamed(uint number, ReadOnlySpan<byte> name)
    {
        const int InfoSize = 128, NameAt = 64;   // bpf_prog_info.name
        byte* info = stackalloc byte[InfoSize];
        uint* attributes = stackalloc uint[AttributeSize / sizeof(uint)];
        Clear(attributes);
        attributes[0] = number;
        int descriptor = Call(ProgramOfNumber, attributes);
        if (descriptor < 0)
        {
            return null;
        }
        SafeFileHandle program = new(descriptor, ownsHandle: true);
        NativeMemory.Clear(info, InfoSize);
        Clear(attributes);
        (attributes[0], attributes[1], ((ulong*)attributes)[1]) = ((uint)descriptor, InfoSize, (ulong)info);
        if (Call(ObjectInfo, attributes) == 0 && new ReadOnlySpan<byte>(info + NameAt, NameSize).TrimEnd((byte)0).SequenceEqual(name))
        {
            return program;
        }
        program.Dispose();
        return null;
    }

    private static int Exchange(int command, SafeFileHandle program, int ifindex, int attachment)
    {
        uint* attributes = stackalloc uint[AttributeSize / sizeof(uint)];
        Clear(attributes);
        (attributes[0], attributes[1], attributes[2]) = ((uint)ifindex, (uint)program.DangerousGetHandle(), (uint)attachment);
        return Call(command, attributes);
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
