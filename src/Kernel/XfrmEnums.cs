namespace Xfrmd.Kernel;

/// <summary><c>XFRM_MODE_*</c>.</summary>
public enum XfrmMode : byte { Transport = 0, Tunnel = 1, RouteOptimization = 2, InTrigger = 3, Beet = 4, Iptfs = 5 }

/// <summary><c>XFRM_POLICY_IN/OUT/FWD</c>.</summary>
public enum PolicyDirection : byte { In = 0, Out = 1, Fwd = 2 }

/// <summary><c>XFRM_POLICY_ALLOW/BLOCK</c>.</summary>
public enum PolicyAction : byte { Allow = 0, Block = 1 }

/// <summary><c>XFRM_POLICY_TYPE_MAIN/SUB</c>.</summary>
public enum PolicyType : byte { Main = 0, Sub = 1 }

/// <summary><c>XFRM_SA_DIR_*</c>; none where the SA was made without the attribute.</summary>
public enum SaDirection : byte { None = 0, In = 1, Out = 2 }

/// <summary><c>XFRM_STATE_*</c> of <c>enum</c> in net/xfrm.h: where an SA is in its life.</summary>
public enum SaState : byte { Void, Acq, Valid, Error, Expired, Dead }

/// <summary><c>XFRM_STATE_*</c> of uapi/linux/xfrm.h: the flags of <c>xfrm_usersa_info</c>. Unknown bits are kept.</summary>
[Flags]
public enum SaFlags : byte
{
    None = 0, NoEcn = 1, DecapDscp = 2, NoPmtuDisc = 4, WildRecv = 8, Icmp = 16, AfUnspec = 32, Align4 = 64, Esn = 128,
}

/// <summary><c>XFRM_SA_XFLAG_*</c>.</summary>
[Flags]
public enum SaExtraFlags : uint { None = 0, DontEncapDscp = 1, OseqMayWrap = 2 }

/// <summary><c>XFRM_POLICY_*</c> flags of <c>xfrm_userpolicy_info</c>. Unknown bits are kept.</summary>
[Flags]
public enum PolicyFlags : byte { None = 0, LocalOk = 1, Icmp = 2, CpuAcquire = 4 }
