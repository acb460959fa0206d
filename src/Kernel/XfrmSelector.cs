using System.Runtime.InteropServices;

namespace Xfrmd.Kernel;

/// <summary>
/// <c>struct xfrm_selector</c>, uapi/linux/xfrm.h: 56 bytes. As in Linux the policy database is keyed by these very bytes,
/// padding included, so the model keeps the layout of the wire.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmSelector : IEquatable<XfrmSelector>
{
    public XfrmAddress Daddr;
    public XfrmAddress Saddr;
    public Be16 Dport;
    public Be16 DportMask;
    public Be16 Sport;
    public Be16 SportMask;
    public ushort Family;
    public byte PrefixlenD;
    public byte PrefixlenS;
    public byte Proto;
    private byte _pad0;
    private ushort _pad1;
    public int Ifindex;
    public uint User;

    /// <summary><c>xfrm_selector_match</c>: the flow falls under this selector (addresses, ports, protocol, interface).</summary>
    public readonly bool Matches(in Flow flow, ushort family) =>
        Daddr.MatchesPrefix(flow.Daddr, PrefixlenD, family)
        && Saddr.MatchesPrefix(flow.Saddr, PrefixlenS, family)
        && ((flow.Dport ^ Dport.Value) & DportMask.Value) == 0
        && ((flow.Sport ^ Sport.Value) & SportMask.Value) == 0
        && (Proto == 0 || Proto == flow.Proto)
        && (Ifindex == 0 || Ifindex == flow.Oif)
        && family is AddressFamily.Inet or AddressFamily.Inet6;

    public readonly bool Equals(XfrmSelector other)
    {
        XfrmSelector self = this;
        return Bytes(ref self).SequenceEqual(Bytes(ref other));
    }

    public override readonly bool Equals(object? obj) => obj is XfrmSelector other && Equals(other);

    public override readonly int GetHashCode()
    {
        XfrmSelector self = this;
        ulong mixed = 0;
        foreach (ulong part in MemoryMarshal.Cast<byte, ulong>(Bytes(ref self)))
        {
            mixed = (mixed ^ part) * 0x9E3779B97F4A7C15UL;
            mixed ^= mixed >> 32;
        }
        return (int)mixed;
    }

    public static bool operator ==(XfrmSelector a, XfrmSelector b) => a.Equals(b);
    public static bool operator !=(XfrmSelector a, XfrmSelector b) => !a.Equals(b);

    private static ReadOnlySpan<byte> Bytes(ref XfrmSelector selector) => MemoryMarshal.AsBytes(new ReadOnlySpan<XfrmSelector>(ref selector));
}
