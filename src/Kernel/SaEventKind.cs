namespace Xfrmd.Kernel;

/// <summary>What happened to an SA: the XFRM_MSG_* by which <c>km_state_notify</c> tells it.</summary>
public enum SaEventKind : byte { New, Update, Delete, Flush, Expire, NewAe }
