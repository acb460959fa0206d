namespace Xfrmd.Kernel;

/// <summary>
/// What policy lookup sees of a packet: <c>struct flowi</c>. Ports are host order; ICMP carries type in <see cref="Sport"/> and code in
/// <see cref="Dport"/>, GRE its key's halves, fragments after the first and other protocols 0 (<c>__xfrm_decode_session</c>).
/// </summary>
public readonly record struct Flow
{
    public XfrmAddress Saddr { get; init; }
    public XfrmAddress Daddr { get; init; }
    public ushort Family { get; init; }
    public byte Proto { get; init; }
    public ushort Sport { get; init; }
    public ushort Dport { get; init; }
    public uint Mark { get; init; }
    public int Oif { get; init; }
    public uint IfId { get; init; }

    /// <summary>The flow of the answer: what an ICMP error's embedded packet is looked up as.</summary>
    public Flow Reversed() => this with { Saddr = Daddr, Daddr = Saddr, Sport = Dport, Dport = Sport };
}
