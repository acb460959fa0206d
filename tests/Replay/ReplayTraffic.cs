using Xfrmd.Kernel;

namespace Xfrmd.Replay;

/// <summary>Sends a flow's packets through policy and SAs as <c>xfrm_output</c> accounts them; nothing is encrypted.</summary>
internal static class ReplayTraffic
{
    private const int UdpHeader = 8, Ipv4Header = 20, Ipv6Header = 40;

    /// <summary>One datagram. What send(2) returns.</summary>
    public static Errno Send(XfrmNamespace space, in Flow flow, int payload)
    {
        OutboundDecision decision = space.Resolver.Resolve(flow);
        space.RunPending();
        switch (decision.Action)
        {
            case OutboundAction.Drop:
                return decision.Errno;
            case OutboundAction.Pending or OutboundAction.Bypass:
                return Errno.None;
        }
        int length = UdpHeader + payload;
        foreach (SecurityAssociation sa in decision.Sas)
        {
            if (sa.IsTunnelMode)
            {
                length += flow.Family == AddressFamily.Inet ? Ipv4Header : Ipv6Header;
            }
            Errno errno = Pass(space, sa, length);
            space.RunPending();
            if (errno != Errno.None)
            {
                return errno;
            }
        }
        return Errno.None;
    }

    // xfrm_output_one
    private static Errno Pass(XfrmNamespace space, SecurityAssociation sa, int length)
    {
        if (sa.State != SaState.Valid)
        {
            space.Statistics.Increment(XfrmCounter.OutStateInvalid);
            return Errno.EINVAL;
        }
        switch (sa.CheckExpiry(space.WallSeconds))
        {
            case ExpiryVerdict.Hard:
                space.PostExpire(sa, hard: true);
                space.Statistics.Increment(XfrmCounter.OutStateExpired);
                return Errno.EINVAL;
            case ExpiryVerdict.Soft:
                space.PostExpire(sa, hard: false);
                break;
        }
        if (!sa.Replay.TryReserve(1, out _))
        {
            space.Statistics.Increment(XfrmCounter.OutStateSeqError);
            return Errno.EOVERFLOW;
        }
        if (space.KeyManagers.ListensForAevents)
        {
            space.PostReplay(sa);
        }
        space.RunPending();
        sa.Account(length, 1, space.WallSeconds);
        return Errno.None;
    }
}
