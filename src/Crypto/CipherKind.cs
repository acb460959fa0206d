namespace Xfrmd.Crypto;

/// <summary>The ciphers of ESP that need an integrity algorithm beside them.</summary>
public enum CipherKind
{
    Null,
    DesCbc,
    TripleDesCbc,
    Cast5Cbc,
    BlowfishCbc,
    AesCbc,
    SerpentCbc,
    CamelliaCbc,
    TwofishCbc,
    AesCtr,
    Sm4Cbc,
}
