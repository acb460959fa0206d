using Xfrmd.Kernel;

namespace Xfrmd.Cli.Control;

/// <summary>What each counter of /proc/net/xfrm_stat means and what a person can do about it.</summary>
internal static class CounterGuide
{
    private static readonly (string Meaning, string Advice)[] Rows = new (string, string)[(int)XfrmCounter.OutNoQueueSpace + 1];

    static CounterGuide()
    {
        Set(XfrmCounter.InError, "a packet could not be taken in hand", "look at the daemon's log");
        Set(XfrmCounter.InBufferError, "more than six transforms on one packet, or six templates in an inbound policy", "simplify the policy");
        Set(XfrmCounter.InHdrError, "too short for an SPI and a sequence number, or a malformed header", "look at the packets with xfrmd capture");
        Set(XfrmCounter.InNoStates, "no SA for this destination, SPI and protocol", "compare the peer's SPI with xfrmd state: the peer uses an SA that is gone here, or was never installed");
        Set(XfrmCounter.InStateProtoError, "wrong ICV, bad padding, an empty or a dummy payload", "keys or algorithms differ between the peers, or packets are altered on the way");
        Set(XfrmCounter.InStateModeError, "the inner packet does not fit the SA's mode", "compare the mode (tunnel, transport) at both ends");
        Set(XfrmCounter.InStateSeqError, "replayed, or older than the replay window", "a path that reorders much wants a larger replay_window");
        Set(XfrmCounter.InStateExpired, "the SA's hard byte or packet limit was reached", "raise life_bytes or life_packets, or leave more room between rekey and life");
        Set(XfrmCounter.InStateMismatch, "raw ESP on an SA for UDP or the other way round, or the inner packet is outside the SA's selector", "compare NAT detection (encap) at both ends and the traffic selectors");
        Set(XfrmCounter.InStateInvalid, "the SA is being deleted", "harmless while rekeying");
        Set(XfrmCounter.InTmplMismatch, "came in clear, or through another SA than its policy asks for", "xfrmd explain shows the policy; compare reqid and tunnel addresses of SA and template");
        Set(XfrmCounter.InNoPols, "decrypted, but no policy covers it (or the default policy blocks)", "install the missing in or fwd policy");
        Set(XfrmCounter.InPolBlock, "a policy blocks it", "intended; xfrmd policy shows which");
        Set(XfrmCounter.InPolError, "the inbound policy lookup failed", "look at the daemon's log");
        Set(XfrmCounter.OutError, "no room, or no way out for the packet", "look at the daemon's log");
        Set(XfrmCounter.OutBundleGenError, "no route to the outer destination", "ip route get the tunnel's remote address");
        Set(XfrmCounter.OutBundleCheckError, "never counted by current kernels", "");
        Set(XfrmCounter.OutNoStates, "a policy asks for an SA that is not there (yet)", "the IKE daemon was asked by ACQUIRE; look at its log");
        Set(XfrmCounter.OutStateProtoError, "encryption failed, or the packet would be too long", "look at the daemon's log");
        Set(XfrmCounter.OutStateModeError, "the packet does not fit the mode or, with DF set, the path MTU", "lower the MTU or the MSS of the sender");
        Set(XfrmCounter.OutStateSeqError, "sequence numbers ran out", "rekey earlier, or use extended sequence numbers");
        Set(XfrmCounter.OutStateExpired, "the SA's hard byte or packet limit was reached", "raise life_bytes or life_packets, or leave more room between rekey and life");
        Set(XfrmCounter.OutPolBlock, "a policy blocks it", "intended; xfrmd policy shows which");
        Set(XfrmCounter.OutPolDead, "never counted by current kernels", "");
        Set(XfrmCounter.OutPolError, "the templates could not be resolved", "xfrmd explain shows why");
        Set(XfrmCounter.FwdHdrError, "a forwarded packet could not be read", "look at the packets with xfrmd capture");
        Set(XfrmCounter.OutStateInvalid, "the SA is not valid at the time of sending", "harmless while rekeying");
        Set(XfrmCounter.AcquireError, "a packet for an SPI that is still being negotiated", "harmless while an SA is set up");
        Set(XfrmCounter.OutStateDirError, "an inbound SA was chosen for output", "compare the SA's dir with the policy");
        Set(XfrmCounter.InStateDirError, "an outbound SA was hit by input", "compare the SA's dir with the peer's");
        Set(XfrmCounter.InIptfsError, "IP-TFS reassembly failed", "packets were lost on the way");
        Set(XfrmCounter.OutNoQueueSpace, "the IP-TFS queue is full", "raise max_queue_size");

        static void Set(XfrmCounter counter, string meaning, string advice) => Rows[(int)counter] = (meaning, advice);
    }

    public static string Meaning(XfrmCounter counter) => Rows[(int)counter].Meaning;

    public static string Advice(XfrmCounter counter) => Rows[(int)counter].Advice;

    public static CounterReport[] Report(XfrmStatistics statistics, bool onlyCounted)
    {
        long[] values = statistics.Snapshot();
        return [.. Enum.GetValues<XfrmCounter>()
            .Where(c => !onlyCounted || values[(int)c] != 0)
            .Select(c => new CounterReport("Xfrm" + c, values[(int)c], Meaning(c), Advice(c)))];
    }
}
