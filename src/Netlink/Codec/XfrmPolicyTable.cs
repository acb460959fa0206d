using System.Runtime.CompilerServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink.Codec;

/// <summary>The attribute policies of XFRM's messages, as data.</summary>
internal static class XfrmPolicyTable
{
    /// <summary><c>strict_start_type</c>: from here on lengths must be exact and flag bits in the type are refused.</summary>
    public const ushort StrictStart = (ushort)XfrmAttr.SaDir;

    /// <summary><c>xfrma_policy</c>, net/xfrm/xfrm_user.c (Linux 6.18).</summary>
    public static ReadOnlySpan<NlaPolicy> Xfrma => XfrmaRows;

    /// <summary><c>xfrma_spd_policy</c>: NEWSPDINFO's own attributes.</summary>
    public static ReadOnlySpan<NlaPolicy> SpdInfo => SpdInfoRows;

    private static readonly NlaPolicy[] XfrmaRows = Table((ushort)XfrmAttr.Max,
        (XfrmAttr.AlgAuth, AtLeast<XfrmAlgo>()),
        (XfrmAttr.AlgCrypt, AtLeast<XfrmAlgo>()),
        (XfrmAttr.AlgComp, AtLeast<XfrmAlgo>()),
        (XfrmAttr.Encap, AtLeast<XfrmEncapTmpl>()),
        (XfrmAttr.Tmpl, AtLeast<PolicyTemplate>()),
        (XfrmAttr.Sa, AtLeast<XfrmUserSaInfo>()),
        (XfrmAttr.Policy, AtLeast<XfrmUserPolicyInfo>()),
        (XfrmAttr.SecCtx, AtLeast<XfrmUserSecCtx>()),
        (XfrmAttr.LtimeVal, AtLeast<XfrmLifetimeCur>()),
        (XfrmAttr.ReplayVal, AtLeast<XfrmReplayStateAbi>()),
        (XfrmAttr.ReplayThresh, new(NlaType.U32)),
        (XfrmAttr.EtimerThresh, new(NlaType.U32)),
        (XfrmAttr.SrcAddr, AtLeast<XfrmAddress>()),
        (XfrmAttr.CoAddr, AtLeast<XfrmAddress>()),
        (XfrmAttr.LastUsed, new(NlaType.U64)),
        (XfrmAttr.PolicyType, AtLeast<XfrmUserPolicyType>()),
        (XfrmAttr.Migrate, AtLeast<XfrmUserMigrate>()),
        (XfrmAttr.AlgAead, AtLeast<XfrmAlgoAuth>()),
        (XfrmAttr.KmAddress, AtLeast<XfrmUserKmAddress>()),
        (XfrmAttr.AlgAuthTrunc, AtLeast<XfrmAlgoAuth>()),
        (XfrmAttr.Mark, AtLeast<XfrmMark>()),
        (XfrmAttr.TfcPad, new(NlaType.U32)),
        (XfrmAttr.ReplayEsnVal, AtLeast<XfrmReplayStateEsn>()),
        (XfrmAttr.SaExtraFlags, new(NlaType.U32)),
        (XfrmAttr.Proto, new(NlaType.U8)),
        (XfrmAttr.AddressFilter, AtLeast<XfrmAddressFilter>()),
        (XfrmAttr.OffloadDev, AtLeast<XfrmUserOffload>()),
        (XfrmAttr.SetMark, new(NlaType.U32)),
        (XfrmAttr.SetMarkMask, new(NlaType.U32)),
        (XfrmAttr.IfId, new(NlaType.U32)),
        (XfrmAttr.MtimerThresh, new(NlaType.U32)),
        (XfrmAttr.SaDir, new(NlaType.U8, Min: (ulong)SaDirection.In, Max: (ulong)SaDirection.Out)),
        (XfrmAttr.NatKeepaliveInterval, new(NlaType.U32)),
        (XfrmAttr.SaPcpu, new(NlaType.U32)),
        (XfrmAttr.IptfsDropTime, new(NlaType.U32)),
        (XfrmAttr.IptfsReorderWindow, new(NlaType.U16)),
        (XfrmAttr.IptfsDontFrag, new(NlaType.Flag)),
        (XfrmAttr.IptfsInitDelay, new(NlaType.U32)),
        (XfrmAttr.IptfsMaxQsize, new(NlaType.U32)),
        (XfrmAttr.IptfsPktSize, new(NlaType.U32)));

    private static readonly NlaPolicy[] SpdInfoRows = Table((ushort)SpdInfoAttr.Max,
        ((XfrmAttr)SpdInfoAttr.Ipv4HThresh, AtLeast<XfrmuSpdHThresh>()),
        ((XfrmAttr)SpdInfoAttr.Ipv6HThresh, AtLeast<XfrmuSpdHThresh>()));

    private static NlaPolicy AtLeast<T>() where T : unmanaged => new(NlaType.Unspec, Unsafe.SizeOf<T>());

    private static NlaPolicy[] Table(ushort max, params ReadOnlySpan<(XfrmAttr Type, NlaPolicy Policy)> rows)
    {
        NlaPolicy[] table = new NlaPolicy[max + 1];
        foreach ((XfrmAttr type, NlaPolicy policy) in rows)
        {
            table[(ushort)type] = policy;
        }
        return table;
    }
}
