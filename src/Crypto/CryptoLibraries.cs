namespace Xfrmd.Crypto;

/// <summary>What computes here, for people.</summary>
public static class CryptoLibraries
{
    /// <summary>Which library of which version, and for what; chosen by the first call.</summary>
    public static string InUse => CryptoBackend.Default.Description;

    /// <summary>AES-GCM is computed by libIPSec_MB, a third of libcrypto's time.</summary>
    public static bool IncludeIpsecMb => CryptoBackend.Default is IpsecMb.IpsecMbBackend;
}
