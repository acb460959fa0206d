using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink;

internal sealed partial class XfrmHandler
{
    // xfrm_flush_sa: FLUSHSA. Where there was nothing, nothing is told.
    private Outcome FlushSa(ref XfrmRequest request)
    {
        byte proto = request.Body<XfrmUserSaFlush>().Proto;
        if (_space.Sad.Flush(proto) != 0)
        {
            _space.KeyManagers.Notify(new SaEvent(SaEventKind.Flush, null) { Proto = proto, Seq = request.Header.Seq, PortId = request.Header.Pid });
        }
        return Outcome.Ok;
    }

    // xfrm_flush_policy: FLUSHPOLICY
    private Outcome FlushPolicy(ref XfrmRequest request)
    {
        Outcome outcome = ReadPolicyType(ref request, out PolicyType type);
        if (outcome.IsOk && _space.Spd.Flush(type) != 0)
        {
            _space.KeyManagers.NotifyPolicy(new PolicyEvent(PolicyEventKind.Flush, null) { Type = type, Seq = request.Header.Seq, PortId = request.Header.Pid });
        }
        return outcome;
    }
}
