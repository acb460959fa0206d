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
    public Flow Reversed()
    {
        // ICMP's type and code, and GRE's key, stay where they are (decode_session4).
        bool turns = Proto is not (IpProtocol.Icmp or IpProtocol.Icmpv6 or IpProtocol.Gre);
        return this with { Saddr = Daddr, Daddr = Saddr, Sport = turns ? Dport : Sport, Dport = turns ? Sport : Dport };
    }
}
