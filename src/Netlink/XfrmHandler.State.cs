using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

internal sealed partial class XfrmHandler
{
    // xfrm_add_sa: NEWSA, UPDSA
    private Outcome AddSa(ref XfrmRequest request)
    {
        XfrmUserSaInfo body = request.Body<XfrmUserSaInfo>();
        Outcome outcome = NewSaVerifier.Verify(body, ref request);
        if (!outcome.IsOk)
        {
            return outcome;
        }
        SecurityAssociation sa = new();
        outcome = Construct(sa, body, ref request);
        if (outcome.IsOk)
        {
            outcome = request.Type == XfrmMsg.NewSa ? _space.Sad.Add(sa) : _space.Sad.Update(sa);
        }
        if (!outcome.IsOk)
        {
            sa.Dispose();
            return outcome;
        }
        _space.KeyManagers.Notify(new SaEvent(request.Type == XfrmMsg.NewSa ? SaEventKind.New : SaEventKind.Update, sa)
        {
            Seq = request.Header.Seq,
            PortId = request.Header.Pid,
        });
        if (sa.State == SaState.Dead)
        {
            // An update that was merged into the present SA: what carried it is told and gone.
            sa.Dispose();
        }
        return Outcome.Ok;
    }

    // xfrm_user_state_lookup
    private Outcome Lookup(in XfrmUserSaId id, ref XfrmRequest request, out SecurityAssociation? found)
    {
        uint mark = request.Attributes.Mark().Masked.V;
        if (IpProtocol.Matches(id.Proto, IpProtocol.IpsecAny))
        {
            found = _space.Sad.Lookup(mark, id.Daddr, id.Spi, id.Proto, id.Family);
        }
        else if (request.Attributes.TryRead(XfrmAttr.SrcAddr, out XfrmAddress saddr))
        {
            found = _space.Sad.LookupByAddress(mark, id.Daddr, saddr, id.Proto, id.Family);
        }
        else
        {
            found = null;
            return Errno.EINVAL;
        }
        return found is null ? Errno.ESRCH : Outcome.Ok;
    }

    // xfrm_del_sa: DELSA
    private Outcome DelSa(ref XfrmRequest request)
    {
        Outcome outcome = Lookup(request.Body<XfrmUserSaId>(), ref request, out SecurityAssociation? sa);
        if (!outcome.IsOk)
        {
            return outcome;
        }
        if (sa!.IsInternalTunnel)
        {
            return Outcome.Reject(Errno.EPERM, "SA is in use by tunnels");
        }
        if (!_space.Sad.Delete(sa))
        {
            return Errno.ESRCH;
        }
        _space.KeyManagers.Notify(new SaEvent(SaEventKind.Delete, sa) { Seq = request.Header.Seq, PortId = request.Header.Pid });
        return Outcome.Ok;
    }

    // xfrm_get_sa: GETSA
    private Outcome GetSa(ref XfrmRequest request)
    {
        Outcome outcome = Lookup(request.Body<XfrmUserSaId>(), ref request, out SecurityAssociation? sa);
        return outcome.IsOk ? ReplyWith(sa!, ref request) : outcome;
    }

    // xfrm_state_netlink: what does not fit NLMSG_GOODSIZE (long keys of HMACs) is not told.
    private static Outcome ReplyWith(SecurityAssociation sa, ref XfrmRequest request)
    {
        using NlWriter writer = new(TypicalReply);
        StateMessages.WriteState(writer, XfrmMsg.NewSa, NlMsgFlags.None, request.Header.Seq, request.Socket.Port, sa);
        if (writer.Length > NetlinkSocket.GoodSize)
        {
            return Errno.EMSGSIZE;
        }
        request.Socket.Reply(writer.Written);
        return Outcome.Ok;
    }
}
