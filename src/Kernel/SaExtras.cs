namespace Xfrmd.Kernel;

/// <summary>What few SAs have: it would be a quarter of each.</summary>
internal sealed class SaExtras
{
    public SaComp? Comp { get; set; }
    public XfrmEncapTmpl? Encap { get; set; }
    public XfrmAddress? CareOfAddress { get; set; }
    public uint TfcPad { get; set; }
    public XfrmMark SetMark { get; set; }
    public uint? Pcpu { get; set; }
    public uint NatKeepaliveInterval { get; set; }
    public uint MappingMaxAge { get; set; }
    public SaIptfs? Iptfs { get; set; }
    public byte[] SecurityContext { get; set; } = [];
    public SecurityAssociation? Tunnel { get; set; }
    public int TunnelUsers { get; set; }
    public LinkedListNode<SecurityAssociation>? KeepaliveNode { get; set; }
    public ulong KeepaliveExpiration { get; set; }
    public ulong LastMapping { get; set; }
    public ushort LastMappingPort { get; set; }
}
