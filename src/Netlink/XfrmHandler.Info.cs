using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

internal sealed partial class XfrmHandler
{
    private const uint HashMax = 1 << 20;   // xfrm_state_hashmax, xfrm_policy_hashmax

    // xfrm_get_sadinfo: GETSADINFO
    private Outcome GetSadInfo(ref XfrmRequest request)
    {
        using NlWriter writer = new(TypicalReply);
        int start = writer.BeginMessage(XfrmMsg.NewSadInfo, NlMsgFlags.None, request.Header.Seq, request.Socket.Port, request.Body<uint>());
        writer.Put((ushort)SadInfoAttr.Cnt, (uint)_space.Sad.Count);
        writer.Put((ushort)SadInfoAttr.HInfo, new XfrmuHInfo { HCnt = _space.Sad.HashBuckets, HMaxCnt = HashMax });
        writer.EndMessage(start);
        request.Socket.Reply(writer.Written);
        return Outcome.Ok;
    }

    // xfrm_set_spdinfo: NEWSPDINFO sets the hash thresholds
    private Outcome SetSpdInfo(ref XfrmRequest request)
    {
        XfrmuSpdHThresh? ipv4 = Threshold(ref request, SpdInfoAttr.Ipv4HThresh), ipv6 = Threshold(ref request, SpdInfoAttr.Ipv6HThresh);
        if (ipv4 is { LBits: > 32 } or { RBits: > 32 })
        {
            return Outcome.Reject(Errno.EINVAL, "Invalid hash threshold (must be <= 32 for IPv4)");
        }
        if (ipv6 is { LBits: > 128 } or { RBits: > 128 })
        {
            return Outcome.Reject(Errno.EINVAL, "Invalid hash threshold (must be <= 128 for IPv6)");
        }
        if (ipv4 is not null || ipv6 is not null)
        {
            Spd spd = _space.Spd;
            spd.SetThresholds(
                ipv4 is { } four ? (four.LBits, four.RBits) : spd.Ipv4Threshold,
                ipv6 is { } six ? (six.LBits, six.RBits) : spd.Ipv6Threshold);
        }
        return Outcome.Ok;
    }

    private static XfrmuSpdHThresh? Threshold(ref XfrmRequest request, SpdInfoAttr type) =>
        request.Attributes.TryRead((XfrmAttr)type, out XfrmuSpdHThresh threshold) ? threshold : null;

    // xfrm_get_spdinfo: GETSPDINFO
    private Outcome GetSpdInfo(ref XfrmRequest request)
    {
        Spd spd = _space.Spd;
        spd.ForgetClosedSockets();
        using NlWriter writer = new(TypicalReply);
        int start = writer.BeginMessage(XfrmMsg.NewSpdInfo, NlMsgFlags.None, request.Header.Seq, request.Socket.Port, request.Body<uint>());
        writer.Put((ushort)SpdInfoAttr.Info, new XfrmuSpdInfo
        {
            InCnt = (uint)spd.Count(PolicyDirection.In),
            OutCnt = (uint)spd.Count(PolicyDirection.Out),
            FwdCnt = (uint)spd.Count(PolicyDirection.Fwd),
            InsCnt = (uint)spd.SocketPolicyCount(PolicyDirection.In),
            OutsCnt = (uint)spd.SocketPolicyCount(PolicyDirection.Out),
            FwdsCnt = (uint)spd.SocketPolicyCount(PolicyDirection.Fwd),
        });
        writer.Put((ushort)SpdInfoAttr.HInfo, new XfrmuHInfo { HCnt = spd.HashMask, HMaxCnt = HashMax });
        writer.Put((ushort)SpdInfoAttr.Ipv4HThresh, new XfrmuSpdHThresh { LBits = spd.Ipv4Threshold.Local, RBits = spd.Ipv4Threshold.Remote });
        writer.Put((ushort)SpdInfoAttr.Ipv6HThresh, new XfrmuSpdHThresh { LBits = spd.Ipv6Threshold.Local, RBits = spd.Ipv6Threshold.Remote });
        writer.EndMessage(start);
        request.Socket.Reply(writer.Written);
        return Outcome.Ok;
    }

    // xfrm_set_default: SETDEFAULT
    private Outcome SetDefault(ref XfrmRequest request)
    {
        XfrmUserPolicyDefault body = request.Body<XfrmUserPolicyDefault>();
        SetDefault(PolicyDirection.In, body.In);
        SetDefault(PolicyDirection.Fwd, body.Fwd);
        SetDefault(PolicyDirection.Out, body.Out);
        _space.KeyManagers.NotifyPolicy(new PolicyEvent(PolicyEventKind.Default, null));
        return Outcome.Ok;
    }

    private void SetDefault(PolicyDirection direction, byte action)
    {
        if (action is XfrmUserPolicyDefault.Block or XfrmUserPolicyDefault.Accept)
        {
            _space.Spd.SetDefault(direction, action == XfrmUserPolicyDefault.Block ? PolicyAction.Block : PolicyAction.Allow);
        }
    }

    // xfrm_get_default: GETDEFAULT
    private Outcome GetDefault(ref XfrmRequest request)
    {
        using NlWriter writer = new(TypicalReply);
        PolicyMessages.WriteDefault(writer, request.Header.Seq, request.Socket.Port, _space.Spd);
        request.Socket.Reply(writer.Written);
        return Outcome.Ok;
    }
}
