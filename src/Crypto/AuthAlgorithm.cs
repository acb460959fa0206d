namespace Xfrmd.Crypto;

/// <summary>A row of <c>aalg_list</c>, net/xfrm/xfrm_algo.c: an integrity algorithm of AH and ESP.</summary>
/// <param name="Kind">The algorithm.</param>
/// <param name="Name">The kernel's name: what is stored and dumped.</param>
/// <param name="Compat">An older name that requests may use.</param>
/// <param name="DefaultTruncBits">ICV bits where the request names none.</param>
/// <param name="FullBits">ICV bits before truncation.</param>
/// <param name="KeyLengths">Key bytes that setkey accepts.</param>
/// <param name="PfKeyId">SADB_AALG_*: 0 where PF_KEY does not know it.</param>
/// <param name="PfKeyMinBits"><c>sadb_alg_minbits</c>.</param>
/// <param name="PfKeyMaxBits"><c>sadb_alg_maxbits</c>.</param>
/// <param name="Available">False: the reference kernel is built without it, and answers ENOSYS.</param>
public sealed record AuthAlgorithm(
    AuthKind Kind,
    string Name,
    string? Compat,
    int DefaultTruncBits,
    int FullBits,
    KeyLengths KeyLengths,
    byte PfKeyId,
    int PfKeyMinBits,
    int PfKeyMaxBits,
    bool Available = true)
{
    /// <summary><c>pfkey_supported</c>.</summary>
    public bool PfKeySupported => PfKeyId != 0;
}
