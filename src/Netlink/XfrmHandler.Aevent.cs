using System.Runtime.CompilerServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

internal sealed partial class XfrmHandler
{
    // xfrm_get_ae: GETAE
    private Outcome GetAevent(ref XfrmRequest request)
    {
        XfrmAeventId body = request.Body<XfrmAeventId>();
        SecurityAssociation? sa = LookupForAevent(body.SaId, ref request);
        if (sa is null)
        {
            return Errno.ESRCH;
        }
        using NlWriter writer = new(TypicalReply);
        StateMessages.WriteAevent(writer, request.Header.Seq, request.Header.Pid, sa, body.Flags, sa.Replay.Snapshot());
        request.Socket.Reply(writer.Written);
        return Outcome.Ok;
    }

    // xfrm_new_ae: NEWAE
    private Outcome NewAevent(ref XfrmRequest request)
    {
        bool any = request.Attributes.Has(XfrmAttr.LtimeVal) || request.Attributes.Has(XfrmAttr.ReplayVal) || request.Attributes.Has(XfrmAttr.ReplayEsnVal)
            || request.Attributes.Has(XfrmAttr.EtimerThresh) || request.Attributes.Has(XfrmAttr.ReplayThresh);
        if (!any)
        {
            return Outcome.Reject(Errno.EINVAL, "Missing required attribute for AE");
        }
        if ((request.Header.Flags & NlMsgFlags.Replace) == 0)
        {
            return Outcome.Reject(Errno.EINVAL, "NLM_F_REPLACE flag is required");
        }
        SecurityAssociation? sa = LookupForAevent(request.Body<XfrmAeventId>().SaId, ref request);
        if (sa is null)
        {
            return Errno.ESRCH;
        }
        if (sa.State != SaState.Valid)
        {
            return Outcome.Reject(Errno.EINVAL, "SA must be in VALID state");
        }
        Outcome outcome = VerifyReplayLength(sa, ref request);
        if (!outcome.IsOk)
        {
            return outcome;
        }
        UpdateAevent(sa, ref request);
        _space.KeyManagers.Notify(new SaEvent(SaEventKind.NewAe, sa)
        {
            AeventFlags = (uint)XfrmAeFlags.CausedByUpdate,
            Seq = request.Header.Seq,
            PortId = request.Header.Pid,
        });
        return Outcome.Ok;
    }

    private SecurityAssociation? LookupForAevent(in XfrmUserSaId id, ref XfrmRequest request) =>
        _space.Sad.Lookup(request.Attributes.Mark().Masked.V, id.Daddr, id.Spi, id.Proto, id.Family);

    // xfrm_replay_verify_len
    private static Outcome VerifyReplayLength(SecurityAssociation sa, ref XfrmRequest request)
    {
        ReplayState present = sa.Replay.Snapshot();
        if (present.Mode == ReplayMode.Legacy || !request.Attributes.TryRead(XfrmAttr.ReplayEsnVal, out XfrmReplayStateEsn given))
        {
            return Outcome.Ok;
        }
        // xfrm_replay_state_esn_len, in the kernel's int: an absurd length wraps there too.
        int length = unchecked(Unsafe.SizeOf<XfrmReplayStateEsn>() + (int)(given.BmpLen * sizeof(uint)));
        if (request.Attributes.Data(XfrmAttr.ReplayEsnVal).Length < length)
        {
            return Outcome.Reject(Errno.EINVAL, "ESN attribute is too short");
        }
        if (length != Unsafe.SizeOf<XfrmReplayStateEsn>() + (present.Bitmap.Count * sizeof(uint)))
        {
            return Outcome.Reject(Errno.EINVAL, "New ESN size doesn't match the existing SA's ESN size");
        }
        if (given.BmpLen != present.Bitmap.Count)
        {
            return Outcome.Reject(Errno.EINVAL, "New ESN bitmap size doesn't match the existing SA's ESN bitmap");
        }
        return given.ReplayWindow > given.BmpLen * 32 ? Outcome.Reject(Errno.EINVAL, "ESN replay window is longer than the bitmap") : Outcome.Ok;
    }

    // xfrm_update_ae_params
    private static void UpdateAevent(SecurityAssociation sa, ref XfrmRequest request)
    {
        ReplayState present = sa.Replay.Snapshot();
        if (present.Mode != ReplayMode.Legacy)
        {
            // A REPLAY_VAL is stored beside it in Linux, where nothing reads it.
            if (request.Attributes.TryRead(XfrmAttr.ReplayEsnVal, out XfrmReplayStateEsn extended))
            {
                sa.SetReplay(Extended(extended, request.Attributes.Data(XfrmAttr.ReplayEsnVal), present.Mode == ReplayMode.Esn));
            }
        }
        else if (request.Attributes.TryRead(XfrmAttr.ReplayVal, out XfrmReplayStateAbi legacy))
        {
            sa.SetReplay(Legacy(legacy, sa.LegacyReplayWindow));
        }
        if (request.Attributes.TryRead(XfrmAttr.LtimeVal, out XfrmLifetimeCur lifetime))
        {
            sa.CurrentLifetime = lifetime;
        }
        sa.ReplayMaxAge = request.Attributes.UInt32(XfrmAttr.EtimerThresh) ?? sa.ReplayMaxAge;
        sa.ReplayMaxDiff = request.Attributes.UInt32(XfrmAttr.ReplayThresh) ?? sa.ReplayMaxDiff;
        sa.MappingMaxAge = request.Attributes.UInt32(XfrmAttr.MtimerThresh) ?? sa.MappingMaxAge;
    }
}
