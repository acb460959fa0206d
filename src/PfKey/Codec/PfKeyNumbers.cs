using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Codec;

/// <summary>How PF_KEY's numbers and XFRM's stand for each other.</summary>
internal static class PfKeyNumbers
{
    /// <summary><c>pfkey_satype2proto</c>: null for those without SAs in Linux.</summary>
    public static byte? ProtoOf(SadbSatype satype) => satype switch
    {
        SadbSatype.Unspec => IpProtocol.IpsecAny,
        SadbSatype.Ah => IpProtocol.Ah,
        SadbSatype.Esp => IpProtocol.Esp,
        SadbSatype.XIpcomp => IpProtocol.Comp,
        _ => null,
    };

    /// <summary><c>pfkey_proto2satype</c>.</summary>
    public static SadbSatype SatypeOf(byte proto) => proto switch
    {
        IpProtocol.Ah => SadbSatype.Ah,
        IpProtocol.Esp => SadbSatype.Esp,
        IpProtocol.Comp => SadbSatype.XIpcomp,
        _ => SadbSatype.Unspec,
    };

    /// <summary><c>pfkey_proto_to_xfrm</c>.</summary>
    public static byte ProtoToXfrm(byte proto) => proto == IpProtocol.IpsecAny ? IpProtocol.Any : proto;

    /// <summary><c>pfkey_proto_from_xfrm</c>.</summary>
    public static byte ProtoFromXfrm(byte proto) => proto == IpProtocol.Any ? IpProtocol.IpsecAny : proto;

    /// <summary><c>pfkey_mode_to_xfrm</c>: null for what it does not know.</summary>
    public static XfrmMode? ModeToXfrm(IpsecMode mode) => mode switch
    {
        IpsecMode.Any or IpsecMode.Transport => XfrmMode.Transport,
        IpsecMode.Tunnel => XfrmMode.Tunnel,
        IpsecMode.Beet => XfrmMode.Beet,
        _ => null,
    };

    /// <summary><c>pfkey_mode_from_xfrm</c>: null for modes that PF_KEY cannot name.</summary>
    public static IpsecMode? ModeFromXfrm(XfrmMode mode) => mode switch
    {
        XfrmMode.Transport => IpsecMode.Transport,
        XfrmMode.Tunnel => IpsecMode.Tunnel,
        XfrmMode.Beet => IpsecMode.Beet,
        _ => null,
    };

    /// <summary><c>_KEY2X</c>: a limit of 0 is none.</summary>
    public static ulong LimitToXfrm(ulong limit) => limit == 0 ? XfrmLifetimeCfg.Inf : limit;

    /// <summary><c>_X2KEY</c>.</summary>
    public static ulong LimitFromXfrm(ulong limit) => limit == XfrmLifetimeCfg.Inf ? 0 : limit;
}
