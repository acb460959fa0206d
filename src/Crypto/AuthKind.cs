namespace Xfrmd.Crypto;

/// <summary>The integrity algorithms of AH and ESP.</summary>
public enum AuthKind
{
    Null,
    HmacMd5,
    HmacSha1,
    HmacSha256,
    HmacSha384,
    HmacSha512,
    HmacRipemd160,
    AesXcbc,
    AesCmac,
    HmacSm3,
}
