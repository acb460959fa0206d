using System.Runtime.InteropServices;

namespace Xfrmd.Kernel;

/// <summary><c>struct xfrm_lifetime_cfg</c>: 64 bytes. Byte and packet limits: <see cref="Inf"/> is none; seconds: 0 is none.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XfrmLifetimeCfg
{
    /// <summary><c>XFRM_INF</c>.</summary>
    public const ulong Inf = ulong.MaxValue;

    public ulong SoftByteLimit;
    public ulong HardByteLimit;
    public ulong SoftPacketLimit;
    public ulong HardPacketLimit;
    public ulong SoftAddExpiresSeconds;
    public ulong HardAddExpiresSeconds;
    public ulong SoftUseExpiresSeconds;
    public ulong HardUseExpiresSeconds;

    /// <summary>No limit but the time given: what a larval SA has.</summary>
    public static XfrmLifetimeCfg Unlimited(ulong hardAddSeconds = 0) => new()
    {
        SoftByteLimit = Inf,
        HardByteLimit = Inf,
        SoftPacketLimit = Inf,
        HardPacketLimit = Inf,
        HardAddExpiresSeconds = hardAddSeconds,
    };
}
