using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// Which fields of a packet a selector looks at, and through which masks. Policies of one shape differ only in the values, so one hash
/// table holds them all and the packet is looked up once, however many there are.
/// </summary>
public readonly record struct SelectorShape(
    ushort Family, byte PrefixS, byte PrefixD, bool Protocol, PortKind Kind, ushort SportMask, ushort DportMask, uint MarkMask, bool Interface)
{
    public int AddressLength => Family == AddressFamily.Inet ? 4 : 16;

    /// <summary>Bytes of a key as nf_tables wants it: a lone field has its own length, several are padded.</summary>
    public int SetKeyLength => this switch
    {
        { KeyLength: not 4 } => KeyLength,
        { Protocol: true } => 1,
        { HasSport: true } or { HasDport: true } => Kind == PortKind.IcmpType ? 1 : 2,
        _ => 4,
    };

    /// <summary>Bytes of a key: every field is padded to four, as a register of nf_tables is.</summary>
    public int KeyLength =>
        (PrefixS > 0 ? AddressLength : 0) + (PrefixD > 0 ? AddressLength : 0) + (Protocol ? 4 : 0)
        + (HasSport ? 4 : 0) + (HasDport ? 4 : 0) + (MarkMask != 0 ? 4 : 0) + (Interface ? 4 : 0);

    public bool HasSport => SportMask != 0 && ReadsPorts;

    public bool HasDport => DportMask != 0 && ReadsPorts;

    private bool ReadsPorts => Kind is PortKind.Ports or PortKind.IcmpType or PortKind.GreKey or PortKind.GreKeyAfterChecksum;
}
