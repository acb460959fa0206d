using Xfrmd.Crypto;

namespace Xfrmd.Kernel;

/// <summary><c>struct xfrm_algo_auth</c>: the canonical name, the key and how many bits of the ICV travel.</summary>
public sealed record SaAuth(string Name, SecretKey Key, int KeyBits, int TruncBits);

/// <summary><c>struct xfrm_algo</c> of a cipher.</summary>
public sealed record SaCrypt(string Name, SecretKey Key, int KeyBits);

/// <summary><c>struct xfrm_algo_aead</c>: the key holds the salt as its last bytes.</summary>
public sealed record SaAead(string Name, SecretKey Key, int KeyBits, int IcvBits);

/// <summary><c>struct xfrm_algo</c> of a compression.</summary>
public sealed record SaComp(string Name);

/// <summary>The IP-TFS parameters of an SA (XFRMA_IPTFS_*), Linux 6.14. Times are microseconds, sizes bytes.</summary>
public sealed record SaIptfs
{
    public uint DropTime { get; init; } = 1_000_000;
    public ushort ReorderWindow { get; init; } = 3;
    public bool DontFragment { get; init; }
    public uint InitDelay { get; init; }
    public uint MaxQueueSize { get; init; } = 1024 * 10240;
    public uint PacketSize { get; init; }
}
