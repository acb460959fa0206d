using System.Runtime.InteropServices;

namespace Xfrmd.Linux;

/// <summary><c>struct fib_rule_hdr</c> (uapi/linux/fib_rules.h).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RuleHeader
{
    public byte Family;
    public byte DestinationLength;
    public byte SourceLength;
    public byte Tos;
    public byte Table;
    public byte Reserved1;
    public byte Reserved2;
    public byte Action;
    public uint Flags;
}
