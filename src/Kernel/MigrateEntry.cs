namespace Xfrmd.Kernel;

/// <summary><c>struct xfrm_migrate</c>: one SA's way from old to new addresses.</summary>
public readonly record struct MigrateEntry
{
    public XfrmAddress OldDaddr { get; init; }
    public XfrmAddress OldSaddr { get; init; }
    public XfrmAddress NewDaddr { get; init; }
    public XfrmAddress NewSaddr { get; init; }
    public byte Proto { get; init; }
    public XfrmMode Mode { get; init; }
    public uint Reqid { get; init; }
    public ushort OldFamily { get; init; }
    public ushort NewFamily { get; init; }
}
