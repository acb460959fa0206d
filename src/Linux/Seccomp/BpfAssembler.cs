namespace Xfrmd.Linux.Seccomp;

/// <summary>
/// Writes classic BPF with named jump targets. Targets lie ahead, as the kernel demands; a distance that does not fit the 8 bits of a
/// conditional jump is a mistake of ours and throws.
/// </summary>
public sealed class BpfAssembler
{
    // linux/bpf_common.h: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_{JEQ,JGE}|BPF_K, BPF_ALU|BPF_AND|BPF_K, BPF_RET|BPF_K.
    private const ushort LoadWord = 0x20, JumpEqual = 0x15, JumpGreaterOrEqual = 0x35, And = 0x54, Return = 0x06;
    private readonly List<(ushort Code, uint Operand, string? True, string? False)> _code = [];
    private readonly Dictionary<string, int> _labels = [];

    /// <summary>A := the 32-bit word at this offset of <see cref="SeccompData"/>.</summary>
    public BpfAssembler Load(uint offset) => Emit(LoadWord, offset, null, null);

    /// <summary>A := the low half of an argument of the system call.</summary>
    public BpfAssembler LoadArgument(int index) => Load((uint)(16 + (8 * index)));

    public BpfAssembler LoadNumber() => Load(0);

    public BpfAssembler LoadArchitecture() => Load(4);

    public BpfAssembler Mask(uint mask) => Emit(And, mask, null, null);

    /// <summary>Jumps to one of two labels; null goes on with the next instruction.</summary>
    public BpfAssembler IfEqual(uint value, string? then, string? otherwise = null) => Emit(JumpEqual, value, then, otherwise);

    public BpfAssembler IfAtLeast(uint value, string? then, string? otherwise = null) => Emit(JumpGreaterOrEqual, value, then, otherwise);

    public BpfAssembler Ret(uint action) => Emit(Return, action, null, null);

    public BpfAssembler Label(string name)
    {
        _labels.Add(name, _code.Count);
        return this;
    }

    public SockFilter[] Assemble()
    {
        SockFilter[] program = new SockFilter[_code.Count];
        for (int i = 0; i < program.Length; i++)
        {
            var (code, operand, then, otherwise) = _code[i];
            program[i] = new SockFilter(code, Distance(i, then), Distance(i, otherwise), operand);
        }
        return program;
    }

    private byte Distance(int from, string? label) => label is null ? (byte)0 : checked((byte)(_labels[label] - from - 1));

    private BpfAssembler Emit(ushort code, uint operand, string? then, string? otherwise)
    {
        _code.Add((code, operand, then, otherwise));
        return this;
    }
}
