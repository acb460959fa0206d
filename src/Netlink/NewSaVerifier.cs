using System.Runtime.CompilerServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink;

/// <summary>What a NEWSA or UPDSA must look like before anything is made of it: <c>verify_newsa_info</c>, check for check in its order.</summary>
internal static class NewSaVerifier
{
    private static readonly XfrmAttr[] IptfsAttributes =
    [
        XfrmAttr.IptfsDropTime, XfrmAttr.IptfsReorderWindow, XfrmAttr.IptfsDontFrag, XfrmAttr.IptfsInitDelay, XfrmAttr.IptfsMaxQsize, XfrmAttr.IptfsPktSize,
    ];

    public static Outcome Verify(in XfrmUserSaInfo info, ref XfrmRequest request)
    {
        if (info.Family is not (AddressFamily.Inet or AddressFamily.Inet6))
        {
            return Invalid("Invalid address family");
        }
        Outcome outcome = VerifySelector(info);
        if (outcome.IsOk)
        {
            outcome = VerifyProtocol(info, ref request);
        }
        if (outcome.IsOk)
        {
            outcome = VerifyAlgorithmLengths(ref request);
        }
        if (outcome.IsOk)
        {
            outcome = VerifySecurityContext(ref request);
        }
        SaDirection direction = DirectionOf(ref request);
        if (outcome.IsOk)
        {
            outcome = VerifyReplay(info, direction, ref request);
        }
        if (outcome.IsOk)
        {
            outcome = VerifyMode(info, direction, ref request);
        }
        if (outcome.IsOk && request.Attributes.Has(XfrmAttr.MtimerThresh))
        {
            outcome = !request.Attributes.Has(XfrmAttr.Encap) ? Invalid("MTIMER_THRESH attribute can only be set on ENCAP states")
                : direction == SaDirection.Out ? Invalid("MTIMER_THRESH attribute should not be set on output SA")
                : Outcome.Ok;
        }
        if (outcome.IsOk)
        {
            outcome = direction switch
            {
                SaDirection.Out => VerifyOutbound(info, ref request),
                SaDirection.In => VerifyInbound(info, ref request),
                _ => Outcome.Ok,
            };
        }
        if (outcome.IsOk && direction == SaDirection.None && request.Attributes.Has(XfrmAttr.SaPcpu))
        {
            outcome = Invalid("SA_PCPU only supported with SA_DIR");
        }
        return outcome;
    }

    public static SaDirection DirectionOf(ref XfrmRequest request) =>
        request.Attributes.TryRead(XfrmAttr.SaDir, out byte direction) ? (SaDirection)direction : SaDirection.None;

    /// <summary><c>verify_sec_ctx_len</c>.</summary>
    public static Outcome VerifySecurityContext(ref XfrmRequest request)
    {
        if (request.Attributes.TryRead(XfrmAttr.SecCtx, out XfrmUserSecCtx context)
            && (context.Len > request.Attributes.Data(XfrmAttr.SecCtx).Length || context.Len != Unsafe.SizeOf<XfrmUserSecCtx>() + context.CtxLen))
        {
            return Invalid("Invalid security context length");
        }
        return Outcome.Ok;
    }

    private static Outcome VerifySelector(in XfrmUserSaInfo info)
    {
        // Without XFRM_STATE_AF_UNSPEC an open family is that of the SA.
        ushort family = info.Sel.Family == AddressFamily.Unspec && ((SaFlags)info.Flags & SaFlags.AfUnspec) == 0 ? info.Family : info.Sel.Family;
        return family switch
        {
            AddressFamily.Unspec => Outcome.Ok,
            AddressFamily.Inet => info.Sel.PrefixlenD > 32 || info.Sel.PrefixlenS > 32
                ? Invalid("Invalid prefix length in selector (must be <= 32 for IPv4)") : Outcome.Ok,
            AddressFamily.Inet6 => info.Sel.PrefixlenD > 128 || info.Sel.PrefixlenS > 128
                ? Invalid("Invalid prefix length in selector (must be <= 128 for IPv6)") : Outcome.Ok,
            _ => Invalid("Invalid address family in selector"),
        };
    }

    private static Outcome VerifyProtocol(in XfrmUserSaInfo info, ref XfrmRequest request)
    {
        bool auth = Has(ref request, XfrmAttr.AlgAuth), authTrunc = Has(ref request, XfrmAttr.AlgAuthTrunc), crypt = Has(ref request, XfrmAttr.AlgCrypt),
            aead = Has(ref request, XfrmAttr.AlgAead), comp = Has(ref request, XfrmAttr.AlgComp), tfcPad = Has(ref request, XfrmAttr.TfcPad);
        switch (info.Id.Proto)
        {
            case IpProtocol.Ah:
                if (!auth && !authTrunc)
                {
                    return Invalid("Missing required attribute for AH: AUTH_TRUNC or AUTH");
                }
                return aead || crypt || comp || tfcPad ? Invalid("Invalid attributes for AH: AEAD, CRYPT, COMP, TFCPAD") : Outcome.Ok;

            case IpProtocol.Esp:
                if (comp)
                {
                    return Invalid("Invalid attribute for ESP: COMP");
                }
                if (!auth && !authTrunc && !crypt && !aead)
                {
                    return Invalid("Missing required attribute for ESP: at least one of AUTH, AUTH_TRUNC, CRYPT, AEAD");
                }
                if ((auth || authTrunc || crypt) && aead)
                {
                    return Invalid("Invalid attribute combination for ESP: AEAD can't be used with AUTH, AUTH_TRUNC, CRYPT");
                }
                if (tfcPad && (XfrmMode)info.Mode != XfrmMode.Tunnel)
                {
                    return Invalid("TFC padding can only be used in tunnel mode");
                }
                return (XfrmMode)info.Mode != XfrmMode.Iptfs && HasAny(ref request, IptfsAttributes)
                    ? Invalid("IP-TFS options can only be used in IP-TFS mode") : Outcome.Ok;

            case IpProtocol.Comp:
                if (!comp)
                {
                    return Invalid("Missing required attribute for COMP: COMP");
                }
                if (aead || auth || authTrunc || crypt || tfcPad)
                {
                    return Invalid("Invalid attributes for COMP: AEAD, AUTH, AUTH_TRUNC, CRYPT, TFCPAD");
                }
                return info.Id.Spi.Value >= 0x10000 ? Invalid("SPI is too large for COMP (must be < 0x10000)") : Outcome.Ok;

            case IpProtocol.DstOpts or IpProtocol.Routing:
                if (comp || auth || authTrunc || aead || crypt || Has(ref request, XfrmAttr.Encap) || Has(ref request, XfrmAttr.SecCtx) || tfcPad)
                {
                    return Invalid("Invalid attributes for DSTOPTS/ROUTING");
                }
                return Has(ref request, XfrmAttr.CoAddr) ? Outcome.Ok : Invalid("Missing required COADDR attribute for DSTOPTS/ROUTING");

            default:
                return Invalid("Unsupported protocol");
        }
    }

    // verify_aead, verify_auth_trunc, verify_one_alg
    private static Outcome VerifyAlgorithmLengths(ref XfrmRequest request)
    {
        int algo = Unsafe.SizeOf<XfrmAlgo>(), algoAuth = Unsafe.SizeOf<XfrmAlgoAuth>();
        string? wrong = !FitsKey(XfrmAttr.AlgAead, algoAuth, ref request) ? "Invalid AEAD attribute length"
            : !FitsKey(XfrmAttr.AlgAuthTrunc, algoAuth, ref request) ? "Invalid AUTH_TRUNC attribute length"
            : FitsKey(XfrmAttr.AlgAuth, algo, ref request) && FitsKey(XfrmAttr.AlgCrypt, algo, ref request) && FitsKey(XfrmAttr.AlgComp, algo, ref request) ? null
            : "Invalid AUTH/CRYPT/COMP attribute length";
        return wrong is null ? Outcome.Ok : Invalid(wrong);
    }

    // The name's last byte is made NUL where it was read.
    private static bool FitsKey(XfrmAttr type, int header, ref XfrmRequest request)
    {
        const int lastOfName = 63;
        Span<byte> data = request.Attributes.WritableData(type);
        if (!request.Attributes.TryRead(type, out XfrmAlgo algorithm))
        {
            return true;
        }
        if (data.Length < header + AlgorithmKey.Bytes(algorithm.KeyLen))
        {
            return false;
        }
        data[lastOfName] = 0;
        return true;
    }

    // verify_replay
    private static Outcome VerifyReplay(in XfrmUserSaInfo info, SaDirection direction, ref XfrmRequest request)
    {
        bool esn = ((SaFlags)info.Flags & SaFlags.Esn) != 0;
        if (!request.Attributes.TryRead(XfrmAttr.ReplayEsnVal, out XfrmReplayStateEsn state))
        {
            return esn ? Invalid("Missing required attribute for ESN") : Outcome.Ok;
        }
        if (state.BmpLen > XfrmReplayStateEsn.MaxWords)
        {
            return Invalid("ESN bitmap length must be <= 128");
        }
        int header = Unsafe.SizeOf<XfrmReplayStateEsn>(), given = request.Attributes.Data(XfrmAttr.ReplayEsnVal).Length;
        if (given < header + (4 * (int)state.BmpLen) && given != header)
        {
            return Invalid("ESN attribute is too short to fit the full bitmap length");
        }
        if (info.Id.Proto is not (IpProtocol.Esp or IpProtocol.Ah))
        {
            return Invalid("ESN only supported for ESP and AH");
        }
        if (info.ReplayWindow != 0)
        {
            return Invalid("ESN not compatible with legacy replay_window");
        }
        return direction switch
        {
            SaDirection.Out => VerifyReplayOut(state, esn),
            SaDirection.In => VerifyReplayIn(state, esn),
            _ => Outcome.Ok,
        };
    }

    private static Outcome VerifyReplayOut(in XfrmReplayStateEsn state, bool esn)
    {
        if (state.ReplayWindow != 0)
        {
            return Invalid("Replay window should be 0 for output SA");
        }
        if (state.Seq != 0 || state.SeqHi != 0)
        {
            return Invalid("Replay seq and seq_hi should be 0 for output SA");
        }
        if (esn && state is { Oseq: uint.MaxValue, OseqHi: uint.MaxValue })
        {
            return Invalid("Replay oseq and oseq_hi should be less than 0xFFFFFFFF for output SA");
        }
        if (!esn && state.OseqHi != 0)
        {
            return Invalid("Replay oseq_hi should be 0 in non-ESN mode for output SA");
        }
        if (!esn && state.Oseq == uint.MaxValue)
        {
            return Invalid("Replay oseq should be less than 0xFFFFFFFF in non-ESN mode for output SA");
        }
        return state.BmpLen != 0 ? Invalid("Replay bmp_len should 0 for output SA") : Outcome.Ok;
    }

    private static Outcome VerifyReplayIn(in XfrmReplayStateEsn state, bool esn)
    {
        if (state.Oseq != 0 || state.OseqHi != 0)
        {
            return Invalid("Replay oseq and oseq_hi should be 0 for input SA");
        }
        if (esn)
        {
            return state is { Seq: uint.MaxValue, SeqHi: uint.MaxValue } ? Invalid("Replay seq and seq_hi should be less than 0xFFFFFFFF for input SA") : Outcome.Ok;
        }
        if (state.SeqHi != 0)
        {
            return Invalid("Replay seq_hi should be 0 in non-ESN mode for input SA");
        }
        return state.Seq == uint.MaxValue ? Invalid("Replay seq should be less than 0xFFFFFFFF in non-ESN mode for input SA") : Outcome.Ok;
    }

    private static Outcome VerifyMode(in XfrmUserSaInfo info, SaDirection direction, ref XfrmRequest request)
    {
        switch ((XfrmMode)info.Mode)
        {
            case XfrmMode.Transport or XfrmMode.Tunnel or XfrmMode.RouteOptimization or XfrmMode.Beet:
                return Outcome.Ok;

            case XfrmMode.Iptfs:
                if (info.Id.Proto != IpProtocol.Esp)
                {
                    return Invalid("IP-TFS mode only supported with ESP");
                }
                return direction == SaDirection.None ? Invalid("IP-TFS mode requires in or out direction attribute") : Outcome.Ok;

            default:
                return Invalid("Unsupported mode");
        }
    }

    private static Outcome VerifyOutbound(in XfrmUserSaInfo info, ref XfrmRequest request)
    {
        SaFlags flags = (SaFlags)info.Flags;
        if ((flags & SaFlags.DecapDscp) != 0)
        {
            return Invalid("Flag DECAP_DSCP should not be set for output SA");
        }
        if ((flags & SaFlags.Icmp) != 0)
        {
            return Invalid("Flag ICMP should not be set for output SA");
        }
        if ((flags & SaFlags.WildRecv) != 0)
        {
            return Invalid("Flag WILDRECV should not be set for output SA");
        }
        if (info.ReplayWindow != 0)
        {
            return Invalid("Replay window should be 0 for output SA");
        }
        if (Has(ref request, XfrmAttr.IptfsDropTime))
        {
            return Invalid("IP-TFS drop time should not be set for output SA");
        }
        if (Has(ref request, XfrmAttr.IptfsReorderWindow))
        {
            return Invalid("IP-TFS reorder window should not be set for output SA");
        }
        return request.Attributes.TryRead(XfrmAttr.ReplayVal, out XfrmReplayStateAbi replay) && (replay.Seq != 0 || replay.Bitmap != 0)
            ? Invalid("Replay seq and bitmap should be 0 for output SA")
            : Outcome.Ok;
    }

    private static Outcome VerifyInbound(in XfrmUserSaInfo info, ref XfrmRequest request)
    {
        if (((SaFlags)info.Flags & SaFlags.NoPmtuDisc) != 0)
        {
            return Invalid("Flag NOPMTUDISC should not be set for input SA");
        }
        SaExtraFlags extra = (SaExtraFlags)(request.Attributes.UInt32(XfrmAttr.SaExtraFlags) ?? 0);
        if ((extra & SaExtraFlags.DontEncapDscp) != 0)
        {
            return Invalid("Flag DONT_ENCAP_DSCP should not be set for input SA");
        }
        if ((extra & SaExtraFlags.OseqMayWrap) != 0)
        {
            return Invalid("Flag OSEQ_MAY_WRAP should not be set for input SA");
        }
        if (Has(ref request, XfrmAttr.IptfsDontFrag))
        {
            return Invalid("IP-TFS don't fragment should not be set for input SA");
        }
        if (Has(ref request, XfrmAttr.IptfsInitDelay))
        {
            return Invalid("IP-TFS initial delay should not be set for input SA");
        }
        if (Has(ref request, XfrmAttr.IptfsMaxQsize))
        {
            return Invalid("IP-TFS max queue size should not be set for input SA");
        }
        return Has(ref request, XfrmAttr.IptfsPktSize) ? Invalid("IP-TFS packet size should not be set for input SA") : Outcome.Ok;
    }

    private static bool Has(ref XfrmRequest request, XfrmAttr type) => request.Attributes.Has(type);

    private static bool HasAny(ref XfrmRequest request, XfrmAttr[] types)
    {
        foreach (XfrmAttr type in types)
        {
            if (request.Attributes.Has(type))
            {
                return true;
            }
        }
        return false;
    }

    private static Outcome Invalid(string text) => Outcome.Reject(Errno.EINVAL, text);
}
