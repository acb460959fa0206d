using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink;

internal sealed partial class XfrmHandler
{
    // xfrm_add_sa_expire: EXPIRE as a request
    private Outcome AddSaExpire(ref XfrmRequest request)
    {
        XfrmUserExpire body = request.Body<XfrmUserExpire>();
        ref readonly XfrmUserSaInfo info = ref body.State;
        SecurityAssociation? sa = _space.Sad.Lookup(request.Attributes.Mark().Masked.V, info.Id.Daddr, info.Id.Spi, info.Id.Proto, info.Family);
        if (sa is null)
        {
            return Errno.ENOENT;
        }
        if (sa.State != SaState.Valid)
        {
            return Outcome.Reject(Errno.EINVAL, "SA must be in VALID state");
        }
        // Unlike the timer, which tells of an SA that is gone, this tells first.
        bool hard = body.Hard != 0;
        _space.KeyManagers.Notify(new SaEvent(SaEventKind.Expire, sa) { Hard = hard, PortId = request.Header.Pid });
        if (hard)
        {
            _space.Sad.Delete(sa);
        }
        return Outcome.Ok;
    }

    // xfrm_add_pol_expire: POLEXPIRE as a request
    private Outcome AddPolicyExpire(ref XfrmRequest request)
    {
        XfrmUserPolExpire body = request.Body<XfrmUserPolExpire>();
        Outcome outcome = ReadPolicyType(ref request, out PolicyType type);
        if (outcome.IsOk)
        {
            outcome = VerifyDirection(body.Pol.Dir);
        }
        Policy? policy = null;
        if (outcome.IsOk)
        {
            outcome = FindPolicy(body.Pol.Index, body.Pol.Sel, (PolicyDirection)body.Pol.Dir, type, ref request, out policy);
        }
        if (!outcome.IsOk)
        {
            return outcome;
        }
        bool hard = body.Hard != 0;
        if (hard)
        {
            _space.Spd.Delete(policy!);
        }
        _space.KeyManagers.NotifyPolicy(new PolicyEvent(PolicyEventKind.Expire, policy)
        {
            Direction = (PolicyDirection)body.Pol.Dir,
            Type = type,
            Hard = hard,
            PortId = request.Header.Pid,
        });
        return Outcome.Ok;
    }
}
