using System.Runtime.InteropServices;

namespace Xfrmd.Linux.Bpf;

/// <summary><c>struct bpf_insn</c>, uapi/linux/bpf.h: 8 bytes; the first register is the low half of <paramref name="Registers"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct BpfInstruction(byte Code, byte Registers, short Offset, int Immediate);
