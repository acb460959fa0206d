namespace Xfrmd.Kernel;

/// <summary><c>struct xfrm_address_filter</c>: which SAs a dump shows.</summary>
/// <param name="Saddr">Compared over the first <paramref name="SourcePrefix"/> bits, whatever the SA's family.</param>
/// <param name="Daddr">Likewise with <paramref name="DestinationPrefix"/>.</param>
/// <param name="Family">IPv4 or IPv6: only SAs of that family; any other number: all.</param>
/// <param name="SourcePrefix">Bits of the source, at most <see cref="MaxPrefix"/>.</param>
/// <param name="DestinationPrefix">Bits of the destination, at most <see cref="MaxPrefix"/>.</param>
public readonly record struct AddressFilter(XfrmAddress Saddr, XfrmAddress Daddr, ushort Family, byte SourcePrefix, byte DestinationPrefix)
{
    /// <summary>Bits of <c>xfrm_address_t</c>; a request with more is refused (EINVAL).</summary>
    public const int MaxPrefix = 128;

    /// <summary><c>__xfrm_state_filter_match</c>.</summary>
    public bool Matches(SecurityAssociation sa) =>
        (Family is not (AddressFamily.Inet or AddressFamily.Inet6) || sa.Family == Family)
        && sa.Saddr.MatchesBits(Saddr, SourcePrefix)
        && sa.Id.Daddr.MatchesBits(Daddr, DestinationPrefix);
}
