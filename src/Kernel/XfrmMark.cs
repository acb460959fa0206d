using System.Runtime.InteropServices;

namespace Xfrmd.Kernel;

/// <summary><c>struct xfrm_mark</c>: value and mask, 8 bytes. That of an SA or a policy is masked when it is inserted.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct XfrmMark(uint V, uint M)
{
    public bool IsSet => (V | M) != 0;
    public XfrmMark Masked => new(V & M, M);

    // The text that a record writes of itself would write Masked, which writes Masked.
    public override string ToString() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"0x{V:x}/0x{M:x}");

    /// <summary>A packet (or request) mark falls under this mark.</summary>
    public bool Matches(uint mark) => (mark & M) == V;

    /// <summary><c>xfrm_smark_get</c>: the mark that a packet carries after an SA with this as its SET_MARK.</summary>
    public uint Apply(uint mark) => M == 0 ? mark : (V & M) | (mark & ~M);
}
