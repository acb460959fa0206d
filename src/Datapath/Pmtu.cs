using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>How large a packet may be so that it fits a path once it is transformed. Mirrors <c>xfrm_state_mtu</c> and <c>x->props.header_len</c>.</summary>
public static class Pmtu
{
    private const int BeetHeaderMax = 8;   // IPV4_BEET_PHMAXLEN
    private const int MaxMtu = ushort.MaxValue;

    /// <summary><c>xfrm_state_mtu</c>: what fits into <paramref name="outer"/> bytes after this SA.</summary>
    public static int Inner(SecurityAssociation sa, int outer)
    {
        if (sa.Mode == XfrmMode.Iptfs)
        {
            // iptfs_get_inner_mtu: what does not fit is cut, unless the SA forbids it.
            return sa.Iptfs is { DontFragment: true } ? Fits(sa, outer) : sa.Family == AddressFamily.Inet ? MaxMtu : MaxMtu + Ipv6View.HeaderLength;
        }
        return Fits(sa, outer);
    }

    /// <summary>How much data an IP-TFS payload holds: what the path takes, or what XFRMA_IPTFS_PKT_SIZE leaves.</summary>
    public static int IptfsPayload(SecurityAssociation sa, int outer)
    {
        int fits = Fits(sa, outer), asked = (int)Math.Min(sa.Iptfs?.PacketSize ?? 0, MaxMtu);
        return asked == 0 ? fits : Math.Clamp(asked - HeaderLength(sa), 1, fits);
    }

    /// <summary><c>x->props.header_len</c>: bytes that the SA puts before the payload, as the init functions of each type reckon it.</summary>
    public static int HeaderLength(SecurityAssociation sa)
    {
        int ip = sa.Family == AddressFamily.Inet ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength, tunnel = sa.IsTunnelMode ? ip : 0;
        switch (sa.Id.Proto)
        {
            case IpProtocol.Esp:
                int beet = sa.Mode == XfrmMode.Beet && sa.Selector.Family != AddressFamily.Inet6 ? BeetHeaderMax : 0;
                return EspView.HeaderLength + (sa.Esp?.IvLength ?? 0) + tunnel + beet + (sa.Mode == XfrmMode.Iptfs ? AggfragView.HeaderLength : 0) + (sa.Encap is null ? 0 : UdpView.HeaderLength);
            case IpProtocol.Ah:
                return AhLength(sa) + tunnel;
            default:
                return tunnel;
        }
    }

    /// <summary>Bytes of the authentication header: padded to 8, or to 4 where IPv4 SAs ask for it (XFRM_STATE_ALIGN4).</summary>
    public static int AhLength(SecurityAssociation sa) => AhLength(sa, sa.Ah?.IcvLength ?? 0);

    /// <inheritdoc cref="AhLength(SecurityAssociation)"/>
    public static int AhLength(SecurityAssociation sa, int icvLength)
    {
        int align = sa.Family == AddressFamily.Inet && (sa.Flags & SaFlags.Align4) != 0 ? 4 : 8;
        return RoundUp(AhView.FixedLength + icvLength, align);
    }

    internal static int RoundUp(int length, int align) => (length + align - 1) & -align;

    private static int Fits(SecurityAssociation sa, int outer)
    {
        if (sa.Id.Proto != IpProtocol.Esp || sa.State != SaState.Valid || sa.Esp is not { } esp)
        {
            return Math.Max(outer - HeaderLength(sa), 1);
        }
        int align = Math.Max(esp.BlockSize, 4), adjust = 0;
        if (sa.Mode is XfrmMode.Transport or XfrmMode.Beet)
        {
            adjust = sa.Family == AddressFamily.Inet ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength;
        }
        return Math.Max(((outer - HeaderLength(sa) - esp.IcvLength - adjust) & -align) + adjust - 2, 1);
    }
}
