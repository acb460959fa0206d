namespace Xfrmd.Netlink.Abi;

/// <summary><c>XFRM_MSG_*</c>, uapi/linux/xfrm.h.</summary>
public enum XfrmMsg : ushort
{
    NewSa = 16,
    DelSa = 17,
    GetSa = 18,
    NewPolicy = 19,
    DelPolicy = 20,
    GetPolicy = 21,
    AllocSpi = 22,
    Acquire = 23,
    Expire = 24,
    UpdPolicy = 25,
    UpdSa = 26,
    PolExpire = 27,
    FlushSa = 28,
    FlushPolicy = 29,
    NewAe = 30,
    GetAe = 31,
    Report = 32,
    Migrate = 33,
    NewSadInfo = 34,
    GetSadInfo = 35,
    NewSpdInfo = 36,
    GetSpdInfo = 37,
    Mapping = 38,
    SetDefault = 39,
    GetDefault = 40,

    /// <summary><c>XFRM_MSG_BASE</c>.</summary>
    Base = NewSa,

    /// <summary><c>XFRM_MSG_MAX</c>.</summary>
    Max = GetDefault,
}
