namespace Xfrmd.Crypto;

/// <summary>A row of <c>ealg_list</c>, net/xfrm/xfrm_algo.c: a cipher of ESP.</summary>
/// <param name="Kind">The algorithm.</param>
/// <param name="Name">The kernel's name: what is stored and dumped.</param>
/// <param name="Compat">An older name that requests may use.</param>
/// <param name="BlockBytes">What the plaintext is padded to a multiple of.</param>
/// <param name="IvBytes">IV bytes on the wire.</param>
/// <param name="KeyLengths">Key bytes that setkey accepts, nonce included.</param>
/// <param name="IvGenerator"><c>geniv</c>.</param>
/// <param name="PfKeyId">SADB_EALG_*.</param>
/// <param name="PfKeyIvLength"><c>sadb_alg_ivlen</c>: 8 even for AES.</param>
/// <param name="PfKeyMinBits"><c>sadb_alg_minbits</c>.</param>
/// <param name="PfKeyMaxBits"><c>sadb_alg_maxbits</c>.</param>
/// <param name="Available">False: the reference kernel is built without it, and answers ENOSYS.</param>
public sealed record CipherAlgorithm(
    CipherKind Kind,
    string Name,
    string? Compat,
    int BlockBytes,
    int IvBytes,
    KeyLengths KeyLengths,
    IvGenerator IvGenerator,
    byte PfKeyId,
    byte PfKeyIvLength,
    int PfKeyMinBits,
    int PfKeyMaxBits,
    bool Available = true)
{
    /// <summary><c>pfkey_supported</c>.</summary>
    public bool PfKeySupported => PfKeyId != 0;
}
