namespace Xfrmd.PfKey.Abi;

/// <summary><c>SADB_EXT_*</c>, <c>SADB_X_EXT_*</c>: extension types, linux/pfkeyv2.h.</summary>
public enum SadbExtType : ushort
{
    Reserved = 0,
    Sa = 1,
    LifetimeCurrent = 2,
    LifetimeHard = 3,
    LifetimeSoft = 4,
    AddressSrc = 5,
    AddressDst = 6,
    AddressProxy = 7,
    KeyAuth = 8,
    KeyEncrypt = 9,
    IdentitySrc = 10,
    IdentityDst = 11,
    Sensitivity = 12,
    Proposal = 13,
    SupportedAuth = 14,
    SupportedEncrypt = 15,
    Spirange = 16,
    XKmprivate = 17,
    XPolicy = 18,
    XSa2 = 19,
    XNatTType = 20,
    XNatTSport = 21,
    XNatTDport = 22,
    XNatTOa = 23,
    XSecCtx = 24,
    XKmaddress = 25,
    XFilter = 26,

    /// <summary><c>SADB_EXT_MAX</c>.</summary>
    Max = XFilter,
}
