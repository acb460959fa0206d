using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.PfKey.Codec;

/// <summary>Between <c>sadb_lifetime</c> and XFRM's limits. Packets are PF_KEY's allocations.</summary>
internal static class Lifetimes
{
    public static SadbLifetime Hard(in XfrmLifetimeCfg limits) => new()
    {
        Allocations = (uint)PfKeyNumbers.LimitFromXfrm(limits.HardPacketLimit),
        Bytes = PfKeyNumbers.LimitFromXfrm(limits.HardByteLimit),
        AddTime = limits.HardAddExpiresSeconds,
        UseTime = limits.HardUseExpiresSeconds,
    };

    public static SadbLifetime Soft(in XfrmLifetimeCfg limits) => new()
    {
        Allocations = (uint)PfKeyNumbers.LimitFromXfrm(limits.SoftPacketLimit),
        Bytes = PfKeyNumbers.LimitFromXfrm(limits.SoftByteLimit),
        AddTime = limits.SoftAddExpiresSeconds,
        UseTime = limits.SoftUseExpiresSeconds,
    };

    public static SadbLifetime Current(in XfrmLifetimeCur current) => new()
    {
        Allocations = (uint)current.Packets,
        Bytes = current.Bytes,
        AddTime = current.AddTime,
        UseTime = current.UseTime,
    };

    /// <summary>The limits that a message sets; those that it leaves out are none.</summary>
    public static XfrmLifetimeCfg Read(in SadbMessage message)
    {
        XfrmLifetimeCfg limits = XfrmLifetimeCfg.Unlimited();
        if (message.TryGet(SadbExtType.LifetimeHard, out SadbLifetime hard))
        {
            limits.HardPacketLimit = PfKeyNumbers.LimitToXfrm(hard.Allocations);
            limits.HardByteLimit = PfKeyNumbers.LimitToXfrm(hard.Bytes);
            limits.HardAddExpiresSeconds = hard.AddTime;
            limits.HardUseExpiresSeconds = hard.UseTime;
        }
        if (message.TryGet(SadbExtType.LifetimeSoft, out SadbLifetime soft))
        {
            limits.SoftPacketLimit = PfKeyNumbers.LimitToXfrm(soft.Allocations);
            limits.SoftByteLimit = PfKeyNumbers.LimitToXfrm(soft.Bytes);
            limits.SoftAddExpiresSeconds = soft.AddTime;
            limits.SoftUseExpiresSeconds = soft.UseTime;
        }
        return limits;
    }
}
