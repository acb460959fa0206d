using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink;

internal sealed partial class XfrmHandler
{
    // xfrm_alloc_userspi: ALLOCSPI
    private Outcome AllocSpi(ref XfrmRequest request)
    {
        XfrmUserSpiInfo body = request.Body<XfrmUserSpiInfo>();
        ref readonly XfrmUserSaInfo info = ref body.Info;
        Outcome outcome = Sad.VerifySpiRange(info.Id.Proto, body.Min, body.Max);
        if (!outcome.IsOk)
        {
            return outcome;
        }
        XfrmMark mark = request.Attributes.Mark();
        uint ifId = request.Attributes.UInt32(XfrmAttr.IfId) ?? 0;
        uint? cpu = request.Attributes.UInt32(XfrmAttr.SaPcpu);
        if (cpu >= PossibleCpus)
        {
            return Outcome.Reject(Errno.EINVAL, "pCPU number too big");
        }
        SecurityAssociation? larval = info.Seq == 0 ? null : _space.Sad.FindAcquireBySeq(mark, info.Seq, cpu);
        if (larval is not null && !larval.Id.Daddr.Equals(info.Id.Daddr, info.Family))
        {
            larval = null;
        }
        larval ??= _space.Sad.FindOrCreateLarval(mark, info.Family, (XfrmMode)info.Mode, info.Reqid, ifId, cpu, info.Id.Proto, info.Id.Daddr, info.Saddr);
        outcome = _space.Sad.AllocateSpi(larval, body.Min, body.Max);
        if (!outcome.IsOk)
        {
            return outcome;
        }
        SaDirection direction = NewSaVerifier.DirectionOf(ref request);
        if (direction != SaDirection.None)
        {
            larval.Direction = direction;
        }
        return ReplyWith(larval, ref request);
    }

    // xfrm_add_acquire: ACQUIRE as a request is told to the listeners as if a packet had asked.
    private Outcome AddAcquire(ref XfrmRequest request)
    {
        XfrmUserAcquire body = request.Body<XfrmUserAcquire>();
        uint? cpu = request.Attributes.UInt32(XfrmAttr.SaPcpu);
        Outcome outcome = cpu >= PossibleCpus ? Outcome.Reject(Errno.EINVAL, "pCPU number too big") : VerifyNewPolicy(body.Policy);
        if (outcome.IsOk)
        {
            outcome = NewSaVerifier.VerifySecurityContext(ref request);
        }
        Policy? policy = null;
        if (outcome.IsOk)
        {
            outcome = ConstructPolicy(body.Policy, request.Attributes.Mark(), ref request, out policy);
        }
        if (!outcome.IsOk)
        {
            return outcome;
        }
        for (int i = 0; i < policy!.TemplateArray.Length; i++)
        {
            ref PolicyTemplate template = ref policy.TemplateArray[i];
            SecurityAssociation asked = new()
            {
                Id = template.Id,
                Saddr = body.Saddr,
                Selector = body.Sel,
                Mark = request.Attributes.Mark(),
                Mode = template.Mode,
                Reqid = template.Reqid,
                Family = template.Family,
                Pcpu = cpu,
            };
            (template.Aalgos, template.Ealgos, template.Calgos) = (body.Aalgos, body.Ealgos, body.Calgos);
            _space.KeyManagers.Acquire(asked, template, policy);
        }
        return Outcome.Ok;
    }
}
