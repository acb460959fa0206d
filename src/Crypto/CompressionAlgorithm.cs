namespace Xfrmd.Crypto;

/// <summary>A row of <c>calg_list</c>, net/xfrm/xfrm_algo.c: a compression algorithm of IPComp.</summary>
/// <param name="Name">The kernel's name.</param>
/// <param name="ThresholdBytes">Shorter payloads are sent as they are.</param>
/// <param name="PfKeyId">SADB_X_CALG_*.</param>
/// <param name="Available">Only deflate has ever had an implementation.</param>
public sealed record CompressionAlgorithm(string Name, int ThresholdBytes, byte PfKeyId, bool Available);
