using System.Runtime.CompilerServices;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Codec;

/// <summary>What each extension must look like, as data.</summary>
internal static class ExtensionTable
{
    /// <summary>Bytes of one unit of the length fields.</summary>
    public const int Word = 8;

    /// <summary><c>sadb_ext_min_len</c>, net/key/af_key.c, with the checks of <c>parse_exthdrs</c>. Indexed by type.</summary>
    public static ReadOnlySpan<ExtensionRule> Rules => Rows;

    private static readonly ExtensionRule[] Rows =
    [
        new(SadbExtType.Reserved, 0),
        AtLeast<SadbSa>(SadbExtType.Sa),
        AtLeast<SadbLifetime>(SadbExtType.LifetimeCurrent),
        AtLeast<SadbLifetime>(SadbExtType.LifetimeHard),
        AtLeast<SadbLifetime>(SadbExtType.LifetimeSoft),
        AtLeast<SadbAddress>(SadbExtType.AddressSrc, ExtensionCheck.Address),
        AtLeast<SadbAddress>(SadbExtType.AddressDst, ExtensionCheck.Address),
        AtLeast<SadbAddress>(SadbExtType.AddressProxy, ExtensionCheck.Address),
        AtLeast<SadbKey>(SadbExtType.KeyAuth, ExtensionCheck.Key),
        AtLeast<SadbKey>(SadbExtType.KeyEncrypt, ExtensionCheck.Key),
        AtLeast<SadbIdent>(SadbExtType.IdentitySrc),
        AtLeast<SadbIdent>(SadbExtType.IdentityDst),
        AtLeast<SadbSens>(SadbExtType.Sensitivity),
        AtLeast<SadbProp>(SadbExtType.Proposal),
        AtLeast<SadbSupported>(SadbExtType.SupportedAuth),
        AtLeast<SadbSupported>(SadbExtType.SupportedEncrypt),
        AtLeast<SadbSpirange>(SadbExtType.Spirange),
        AtLeast<SadbXKmprivate>(SadbExtType.XKmprivate),
        AtLeast<SadbXPolicy>(SadbExtType.XPolicy),
        AtLeast<SadbXSa2>(SadbExtType.XSa2),
        AtLeast<SadbXNatTType>(SadbExtType.XNatTType),
        AtLeast<SadbXNatTPort>(SadbExtType.XNatTSport),
        AtLeast<SadbXNatTPort>(SadbExtType.XNatTDport),
        AtLeast<SadbAddress>(SadbExtType.XNatTOa, ExtensionCheck.Address),
        AtLeast<SadbXSecCtx>(SadbExtType.XSecCtx, ExtensionCheck.SecurityContext),
        AtLeast<SadbXKmaddress>(SadbExtType.XKmaddress),
        AtLeast<SadbXFilter>(SadbExtType.XFilter),
    ];

    /// <summary><c>PFKEY_ALIGN8</c>.</summary>
    public static int Align(int bytes) => (bytes + Word - 1) & ~(Word - 1);

    private static ExtensionRule AtLeast<T>(SadbExtType type, ExtensionCheck check = ExtensionCheck.None) where T : unmanaged =>
        new(type, Unsafe.SizeOf<T>(), check);
}
