using Xfrmd.Crypto;

namespace Xfrmd.Kernel;

/// <summary>
/// Makes an SA able to carry packets: <c>__xfrm_init_state</c> with <c>esp_init_state</c>, <c>ah_init_state</c> and <c>ipcomp_init_state</c>.
/// Both front doors call it once all attributes are set; the order of the checks is the order of Linux's errors.
/// </summary>
public static class SaInitializer
{
    private const string NoCrypto = "Kernel was unable to initialize cryptographic operations";

    /// <summary>With what the namespace says about IPv4 SAs that may be for the way out: net.ipv4.ip_no_pmtu_disc is XFRM_STATE_NOPMTUDISC on each.</summary>
    public static Outcome Initialize(SecurityAssociation sa, XfrmNamespace space)
    {
        if (sa.Family == AddressFamily.Inet && sa.Direction != SaDirection.In && space.ReadsNoPmtuDiscovery())
        {
            sa.Flags |= SaFlags.NoPmtuDisc;
        }
        return Initialize(sa);
    }

    /// <summary>Checks mode, type and crypto, builds the transforms, and makes the SA valid.</summary>
    public static Outcome Initialize(SecurityAssociation sa)
    {
        // xfrm4_mode_map, xfrm6_mode_map, by the selector's family: route optimization is of Mobile IPv6.
        ushort inner = sa.Selector.Family != AddressFamily.Unspec ? sa.Selector.Family : sa.Family;
        if (inner is not (AddressFamily.Inet or AddressFamily.Inet6)
            || (sa.Mode is not (XfrmMode.Transport or XfrmMode.Tunnel or XfrmMode.Beet or XfrmMode.Iptfs)
                && !(sa.Mode == XfrmMode.RouteOptimization && inner == AddressFamily.Inet6)))
        {
            return Outcome.Reject(Errno.EPROTONOSUPPORT, "Requested mode not found");
        }
        // A selector of another family needs a mode that can carry it (XFRM_MODE_FLAG_TUNNEL).
        if (inner != sa.Family
            && sa.Mode is not (XfrmMode.Tunnel or XfrmMode.Beet or XfrmMode.Iptfs))
        {
            return Outcome.Reject(Errno.EPROTONOSUPPORT, "Only tunnel modes can accommodate a change of family");
        }
        // xfrm_get_type: MIGRATE may ask for an SA of any family.
        bool typed = sa.Family is AddressFamily.Inet or AddressFamily.Inet6;
        Outcome outcome = sa.Id.Proto switch
        {
            IpProtocol.Esp when typed => InitializeEsp(sa),
            IpProtocol.Ah when typed => InitializeAh(sa),
            IpProtocol.Comp when typed => InitializeComp(sa),
            IpProtocol.IpIp when sa.Family == AddressFamily.Inet => InitializeTunnel(sa),
            IpProtocol.Ipv6 when sa.Family == AddressFamily.Inet6 => InitializeTunnel(sa),
            IpProtocol.Routing or IpProtocol.DstOpts when sa.Family == AddressFamily.Inet6 => InitializeMobility(sa),
            _ => Outcome.Reject(Errno.EPROTONOSUPPORT, "Requested type not found"),
        };
        if (!outcome.IsOk)
        {
            return outcome;
        }
        if (sa.NatKeepaliveInterval != 0)
        {
            if (sa.Direction != SaDirection.Out)
            {
                return Outcome.Reject(Errno.EINVAL, "NAT keepalive is only supported for outbound SAs");
            }
            if (sa.Encap is not { EncapType: XfrmEncapTmpl.EspInUdp })
            {
                return Outcome.Reject(Errno.EINVAL, "NAT keepalive is only supported for UDP encapsulation");
            }
        }
        sa.State = SaState.Valid;
        return Outcome.Ok;
    }

    // esp_init_state
    private static Outcome InitializeEsp(SecurityAssociation sa)
    {
        EspTransform? transform;
        TransformResult result;
        if (sa.Aead is { } aead)
        {
            result = AlgorithmCatalogue.FindAead(aead.Name, aead.IcvBits) is { } row
                ? EspTransform.TryCreateEsp(row, aead.Key, out transform)
                : NotFound(out transform);
        }
        else if (sa.Crypt is { } crypt)
        {
            AuthAlgorithm? auth = sa.Auth is null ? null : AlgorithmCatalogue.FindAuth(sa.Auth.Name);
            result = AlgorithmCatalogue.FindCipher(crypt.Name) is { } row && (sa.Auth is null || auth is not null)
                ? EspTransform.TryCreateEsp(row, crypt.Key, auth, sa.Auth?.Key, sa.Auth?.TruncBits ?? 0, out transform)
                : NotFound(out transform);
        }
        else
        {
            return Outcome.Reject(Errno.EINVAL, "ESP: AEAD or CRYPT must be provided");
        }
        if (result != TransformResult.Ok)
        {
            // esp_init_authenc alone says nothing about a key that is refused.
            return Outcome.Reject(ErrnoOf(result), result == TransformResult.InvalidKey && sa.Aead is null ? null : NoCrypto);
        }
        if (sa.Encap is { } encap && encap.EncapType != XfrmEncapTmpl.EspInUdp)
        {
            transform!.Dispose();
            return Outcome.Reject(Errno.EINVAL, "Unsupported encapsulation type for ESP");
        }
        sa.SetTransforms(transform, null);
        return Outcome.Ok;
    }

    // ah_init_state
    private static Outcome InitializeAh(SecurityAssociation sa)
    {
        if (sa.Auth is not { } auth)
        {
            return Outcome.Reject(Errno.EINVAL, "AH requires a state with an AUTH algorithm");
        }
        if (sa.Encap is not null)
        {
            return Outcome.Reject(Errno.EINVAL, "AH is not compatible with encapsulation");
        }
        AuthTransform? transform = null;
        TransformResult result = AlgorithmCatalogue.FindAuth(auth.Name) is { } row
            ? AuthTransform.TryCreate(row, auth.Key, auth.TruncBits, out transform)
            : TransformResult.UnknownAlgorithm;
        if (result != TransformResult.Ok)
        {
            return Outcome.Reject(ErrnoOf(result), NoCrypto);
        }
        sa.SetTransforms(null, transform);
        return Outcome.Ok;
    }

    // ipcomp4_init_state, ipcomp_init_state
    private static Outcome InitializeComp(SecurityAssociation sa)
    {
        if (sa.Mode is not (XfrmMode.Transport or XfrmMode.Tunnel))
        {
            return Outcome.Reject(Errno.EINVAL, "Unsupported XFRM mode for IPcomp");
        }
        if (sa.Comp is null)
        {
            return Outcome.Reject(Errno.EINVAL, "Missing required compression algorithm");
        }
        return sa.Encap is null ? Outcome.Ok : Outcome.Reject(Errno.EINVAL, "IPComp is not compatible with encapsulation");
    }

    // ipip_init_state, xfrm6_tunnel_init_state: of the SAs beside those of IPComp, which MIGRATE alone makes anew.
    private static Outcome InitializeTunnel(SecurityAssociation sa) => sa.Mode == XfrmMode.Tunnel && sa.Encap is null ? Outcome.Ok : Errno.EINVAL;

    // mip6_destopt_init_state, mip6_rthdr_init_state
    private static Outcome InitializeMobility(SecurityAssociation sa)
    {
        if (sa.Id.Spi.Raw != 0)
        {
            return Outcome.Reject(Errno.EINVAL, "SPI must be 0");
        }
        return sa.Mode == XfrmMode.RouteOptimization ? Outcome.Ok : Outcome.Reject(Errno.EINVAL, "XFRM mode must be XFRM_MODE_ROUTEOPTIMIZATION");
    }

    private static TransformResult NotFound(out EspTransform? transform)
    {
        transform = null;
        return TransformResult.UnknownAlgorithm;
    }

    private static Errno ErrnoOf(TransformResult result) => result == TransformResult.UnknownAlgorithm ? Errno.ENOENT : Errno.EINVAL;
}
