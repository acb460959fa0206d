namespace Xfrmd.Netlink.Abi;

/// <summary><c>XFRM_AE_*</c> (<c>enum xfrm_ae_ftype_t</c>).</summary>
[Flags]
public enum XfrmAeFlags : uint { None = 0, ReplayThreshold = 1, ReplayValue = 2, LifetimeValue = 4, EtimerThreshold = 8, CausedByReplay = 16, CausedByTimer = 32, CausedByUpdate = 64 }
