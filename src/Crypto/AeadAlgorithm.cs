namespace Xfrmd.Crypto;

/// <summary>A row of <c>aead_list</c>, net/xfrm/xfrm_algo.c: a combined-mode algorithm of ESP with one of its ICV lengths.</summary>
/// <param name="Kind">The algorithm.</param>
/// <param name="Name">The kernel's name.</param>
/// <param name="IcvBits">ICV bits: part of the row's identity.</param>
/// <param name="SaltBytes">Nonce bytes at the end of the key.</param>
/// <param name="IvBytes">IV bytes on the wire.</param>
/// <param name="KeyLengths">Key bytes that setkey accepts, salt included.</param>
/// <param name="IvGenerator"><c>geniv</c>.</param>
/// <param name="PfKeyId">SADB_X_EALG_*: 0 where there is none. No PF_KEY lookup finds these rows.</param>
public sealed record AeadAlgorithm(
    AeadKind Kind,
    string Name,
    int IcvBits,
    int SaltBytes,
    int IvBytes,
    KeyLengths KeyLengths,
    IvGenerator IvGenerator,
    byte PfKeyId);
