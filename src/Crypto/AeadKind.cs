namespace Xfrmd.Crypto;

/// <summary>The combined-mode algorithms of ESP.</summary>
public enum AeadKind
{
    /// <summary>RFC 4106.</summary>
    AesGcm,

    /// <summary>RFC 4309.</summary>
    AesCcm,

    /// <summary>RFC 4543: integrity alone.</summary>
    AesGmac,

    /// <summary>RFC 7634.</summary>
    ChaCha20Poly1305,
}
