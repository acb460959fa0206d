namespace Xfrmd.Kernel;

/// <summary>
/// <c>enum</c> LINUX_MIB_XFRM*: each way in which a packet is lost, in the order of /proc/net/xfrm_stat. The name there is
/// <c>Xfrm</c> and the member's name.
/// </summary>
public enum XfrmCounter
{
    InError, InBufferError, InHdrError, InNoStates, InStateProtoError, InStateModeError, InStateSeqError, InStateExpired, InStateMismatch,
    InStateInvalid, InTmplMismatch, InNoPols, InPolBlock, InPolError, OutError, OutBundleGenError, OutBundleCheckError, OutNoStates,
    OutStateProtoError, OutStateModeError, OutStateSeqError, OutStateExpired, OutPolBlock, OutPolDead, OutPolError, FwdHdrError,
    OutStateInvalid, AcquireError, OutStateDirError, InStateDirError, InIptfsError, OutNoQueueSpace,
}
