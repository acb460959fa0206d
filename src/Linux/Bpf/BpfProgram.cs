namespace Xfrmd.Linux.Bpf;

/// <summary>Writes a program of eBPF, instruction by instruction (Documentation/bpf/standardization/instruction-set.rst).</summary>
internal sealed class BpfProgram
{
    public const int R0 = 0, R1 = 1, R2 = 2, R3 = 3, R4 = 4, R6 = 6, R7 = 7, R8 = 8, R9 = 9, Frame = 10;
    private const byte Load = 0x61, LoadHalf = 0x69, LoadByte = 0x71, StoreRegister = 0x63, Atomic = 0xC3, LoadImmediate64 = 0x18;
    private const byte MoveRegister = 0xBF, Move = 0xB7, Add = 0x07, And = 0x57, ShiftRight = 0x77, ToBigEndian = 0xDC;
    private const byte Jump = 0x05, JumpEqual = 0x15, JumpNotEqual = 0x55, JumpAbove = 0x25, JumpGreater = 0x2D, JumpLess = 0xA5, Call = 0x85, Exit = 0x95;
    private const int MapDescriptor = 1, MapValue = 2, Exchange = 0xE1;
    private readonly List<BpfInstruction> _code = [];
    private readonly Dictionary<string, int> _labels = [];
    private readonly List<(int At, string Label)> _jumps = [];

    public BpfInstruction[] Assemble()
    {
        BpfInstruction[] code = [.. _code];
        foreach ((int at, string label) in _jumps)
        {
            code[at] = code[at] with { Offset = (short)(_labels[label] - at - 1) };
        }
        return code;
    }

    /// <summary>The next instruction has this name.</summary>
    public void Label(string name) => _labels.Add(name, _code.Count);

    public void Copy(int to, int from) => Emit(MoveRegister, to, from);

    public void Set(int register, int value) => Emit(Move, register, immediate: value);

    public void Increase(int register, int by) => Emit(Add, register, immediate: by);

    public void Mask(int register, int bits) => Emit(And, register, immediate: bits);

    public void Shift(int register, int right) => Emit(ShiftRight, register, immediate: right);

    /// <summary>From the network's byte order.</summary>
    public void Swap16(int register) => Emit(ToBigEndian, register, immediate: 16);

    public void Read32(int to, int address, int offset) => Emit(Load, to, address, offset);

    public void Read16(int to, int address, int offset) => Emit(LoadHalf, to, address, offset);

    public void Read8(int to, int address, int offset) => Emit(LoadByte, to, address, offset);

    public void Write32(int address, int offset, int from) => Emit(StoreRegister, address, from, offset);

    /// <summary>Exchanges a register with 32 bits of memory; a full barrier.</summary>
    public void Exchange32(int address, int register) => Emit(Atomic, address, register, immediate: Exchange);

    public void Map(int to, int descriptor) => Emit64(to, MapDescriptor, descriptor);

    /// <summary>The address of the first value of an array.</summary>
    public void ValueOf(int to, int descriptor) => Emit64(to, MapValue, descriptor);

    public void CallHelper(int helper) => Emit(Call, 0, immediate: helper);

    public void Return() => Emit(Exit, 0);

    public void GoTo(string label) => EmitJump(Jump, 0, 0, 0, label);

    public void IfEqual(int register, int value, string label) => EmitJump(JumpEqual, register, 0, value, label);

    public void IfNotEqual(int register, int value, string label) => EmitJump(JumpNotEqual, register, 0, value, label);

    public void IfAbove(int register, int value, string label) => EmitJump(JumpAbove, register, 0, value, label);

    public void IfLess(int register, int value, string label) => EmitJump(JumpLess, register, 0, value, label);

    public void IfGreater(int register, int than, string label) => EmitJump(JumpGreater, register, than, 0, label);

    private void EmitJump(byte code, int destination, int source, int value, string label)
    {
        _jumps.Add((_code.Count, label));
        Emit(code, destination, source, immediate: value);
    }

    private void Emit64(int destination, int kind, int value)
    {
        Emit(LoadImmediate64, destination, kind, immediate: value);
        Emit(0, 0);
    }

    private void Emit(byte code, int destination, int source = 0, int offset = 0, int immediate = 0) =>
        _code.Add(new BpfInstruction(code, (byte)(destination | source << 4), (short)offset, immediate));
}
