using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>
/// The way of a packet out: for each SA of its bundle mode, state, limits, sequence number, protocol, in the order and with the counters of
/// <c>xfrm_output_one</c>. One per worker; nothing here blocks or allocates. Files: Outbound.cs the order of things,
/// Outbound.Mode.cs which bytes are protected, Outbound.Headers.cs what stands before them, Outbound.Esp.cs, Outbound.Ah.cs, Outbound.Comp.cs
/// the protocols, Outbound.Iptfs.cs the queue of IP-TFS.
/// </summary>
/// <param name="space">Where statistics and events go.</param>
/// <param name="identifiers">The IPv4 identifications, shared by all workers.</param>
/// <param name="worker">The worker's number, to spread the counters.</param>
public sealed partial class Outbound(XfrmNamespace space, IpIdentifiers identifiers, int worker = 0)
{
    private const int MaxTogether = 128;
    private OutboundFrame[] _frames = new OutboundFrame[MaxTogether];

    /// <summary>Why the last packet was dropped of those that were transformed together, where Linux counts that; null where none was.</summary>
    public XfrmCounter? Dropped { get; private set; }

    /// <summary>Transforms one packet in place.</summary>
    /// <param name="packet">A whole IP packet with valid checksums; afterwards the outermost packet.</param>
    /// <param name="bundle">The SAs.</param>
    /// <param name="now">Wall-clock seconds.</param>
    public OutboundVerdict Transform(ref PacketSlot packet, OutboundBundle bundle, ulong now)
    {
        if (IsTooBig(packet, bundle))
        {
            return Refuse(packet, bundle);
        }
        return TransformWhole(ref packet, bundle, now);
    }

    /// <summary>The same, however large the packet is: it may leave in pieces.</summary>
    /// <param name="packet">As above.</param>
    /// <param name="bundle">The SAs.</param>
    /// <param name="now">Wall-clock seconds.</param>
    /// <param name="ignoresDf">In pieces though its header forbids it (<c>skb->ignore_df</c>: the sender allowed it).</param>
    public OutboundVerdict TransformWhole(ref PacketSlot packet, OutboundBundle bundle, ulong now, bool ignoresDf = false) =>
        bundle.IsAggregating ? Enqueue(packet, bundle) : Protect(ref packet, bundle, 0, now, ignoresDf);

    // xfrm_output2: one SA after the other, from the given one on.
    private OutboundVerdict Protect(ref PacketSlot packet, OutboundBundle bundle, int first, ulong now, bool ignoresDf = false)
    {
        ReadOnlySpan<OutboundSa> chain = bundle.Chain;
        for (int i = first; i < chain.Length; i++)
        {
            OutboundSa link = chain[i];
            packet.Mark = link.Sa.SetMark.Apply(packet.Mark);
            if (!TryPlan(packet, link, bundle.ChildMtu(i), out OutboundFrame frame)
                || !TryAdmit(link, frame.PayloadLength, 1, now, out ulong sequence)
                || !TryProtect(ref packet, link, frame, sequence, bundle.ChildMtu(i)))
            {
                return OutboundVerdict.Dropped;
            }
        }
        return Finish(packet, bundle, ignoresDf);
    }

    /// <summary>
    /// Transforms packets of one flow, such as the segments of one large TCP packet. A single SA without byte and packet limits takes their
    /// sequence numbers and counts them at one go, unless somebody is told of each (AEVENTs) or the numbers end.
    /// </summary>
    /// <param name="packets">The packets, in the order in which they will be sent.</param>
    /// <param name="bundle">The SAs.</param>
    /// <param name="now">Wall-clock seconds.</param>
    /// <param name="verdicts">One for each packet.</param>
    /// <param name="mayDecideAnew">The caller looks for another SA for what is left where this one has gone meanwhile.</param>
    /// <returns>How many packets have their verdicts; the others are as they were.</returns>
    public int Transform(Span<PacketSlot> packets, OutboundBundle bundle, ulong now, Span<OutboundVerdict> verdicts, bool mayDecideAnew = false)
    {
        Dropped = null;
        if (mayDecideAnew && !IsValid(bundle))
        {
            return 0;
        }
        if (bundle.Chain.Length != 1 || bundle.IsAggregating || bundle.Chain[0].HasCountLimits || packets.Length < 2 || space.KeyManagers.ListensForAevents
            || !bundle.Chain[0].Sa.Replay.HasNumbers(packets.Length))
        {
            for (int i = 0; i < packets.Length; i++)
            {
                verdicts[i] = Transform(ref packets[i], bundle, now);
                if (mayDecideAnew && verdicts[i] == OutboundVerdict.Dropped && !IsValid(bundle))
                {
                    return i + 1;
                }
            }
            return packets.Length;
        }
        OutboundSa link = bundle.Chain[0];
        if (_frames.Length < packets.Length)
        {
            _frames = new OutboundFrame[packets.Length];   // once: as many as come together
        }
        Span<OutboundFrame> frames = _frames;
        int mtu = bundle.ChildMtu(0), count = 0;
        long bytes = 0;
        for (int i = 0; i < packets.Length; i++)
        {
            if (IsTooBig(packets[i], bundle))
            {
                verdicts[i] = Refuse(packets[i], bundle);
                continue;
            }
            packets[i].Mark = link.Sa.SetMark.Apply(packets[i].Mark);
            verdicts[i] = OutboundVerdict.Dropped;
            if (TryPlan(packets[i], link, mtu, out frames[i]))
            {
                verdicts[i] = OutboundVerdict.Send;
                bytes += frames[i].PayloadLength;
                count++;
            }
        }
        if (count == 0)
        {
            return packets.Length;
        }
        // A thread that was made to wait finds that an SA was replaced: Linux decides for each packet, not for so many.
        if (mayDecideAnew && link.Sa.State != SaState.Valid)
        {
            return 0;
        }
        bool admitted = TryAdmit(link, bytes, count, now, out ulong sequence);
        for (int i = 0; i < packets.Length; i++)
        {
            if (verdicts[i] != OutboundVerdict.Send)
            {
                continue;
            }
            verdicts[i] = admitted && TryProtect(ref packets[i], link, frames[i], sequence++, mtu)
                ? Finish(packets[i], bundle)
                : OutboundVerdict.Dropped;
        }
        return packets.Length;
    }

    // xfrm_bundle_ok
    private static bool IsValid(OutboundBundle bundle)
    {
        foreach (OutboundSa link in bundle.Chain)
        {
            if (link.Sa.State != SaState.Valid)
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>
    /// As <c>ip_exceeds_mtu</c> and <c>ip6_pkt_too_big</c>, which stand before XFRM on the way of a forwarded packet: IPv4 with DF, and IPv6.
    /// </summary>
    private static bool IsTooBig(in PacketSlot packet, OutboundBundle bundle)
    {
        if (packet.Length <= bundle.InnerMtu)
        {
            return false;
        }
        Span<byte> bytes = packet.Span;
        if (Ipv4View.TryParse(bytes, out Ipv4View ip))
        {
            return (ip.DontFragment || bundle.NeverCuts) && ip.TotalLength > bundle.InnerMtu;
        }
        if (!Ipv6View.TryParse(bytes, out Ipv6View ip6) || ip6.Bytes.Length <= bundle.InnerMtu6)
        {
            return false;
        }
        // In transport mode we are the sender: a datagram of ours is protected whole and fragmented then (ip6_finish_output); TCP is told.
        return !bundle.IsTransport || (Ipv6Extensions.TryFindUpper(ip6.Bytes, out byte protocol, out _, out _, out _) && protocol == NextHeader.Tcp);
    }

    /// <summary>
    /// Which counter, if any, a packet moves that is too big. Forwarding finds IPv4 packets with DF, and IPv6 packets that are larger than the
    /// device takes (<c>ip6_dst_mtu_maybe_forward</c>), before XFRM sees them, and <c>__xfrm6_output</c> those for a tunnel; none of these counts.
    /// What is left is found by <c>xfrm6_tunnel_check_size</c> for BEET and by <c>iptfs_is_too_big</c>.
    /// </summary>
    private OutboundVerdict Refuse(in PacketSlot packet, OutboundBundle bundle)
    {
        bool isForwarding = Ipv4View.TryParse(packet.Span, out Ipv4View ip)
            ? ip.DontFragment && packet.Length > bundle.ForwardMtu
            : packet.Length > bundle.PathMtu || bundle.Chain[0].Sa.Mode is not (XfrmMode.Beet or XfrmMode.Iptfs);
        if (!isForwarding)
        {
            Drop(bundle.IsAggregating ? XfrmCounter.OutError : XfrmCounter.OutStateModeError);
        }
        return OutboundVerdict.TooBig;
    }

    // Linux's order: state, limits, sequence number, then accounting, which nothing takes back.
    private bool TryAdmit(OutboundSa link, long bytes, int count, ulong now, out ulong sequence)
    {
        sequence = 0;
        SecurityAssociation sa = link.Sa;
        if (sa.State != SaState.Valid)
        {
            return Drop(XfrmCounter.OutStateInvalid, count);
        }
        switch (sa.CheckExpiry(now))
        {
            case ExpiryVerdict.Hard:
                space.PostExpire(sa, hard: true);
                return Drop(XfrmCounter.OutStateExpired, count);
            case ExpiryVerdict.Soft:
                space.PostExpire(sa, hard: false);
                break;
        }
        if (link.ReservedCount > 0)
        {
            link.ReservedCount--;
            sequence = link.ReservedSequence++;
        }
        else if (link.Proto != IpProtocol.Comp)   // XFRM_TYPE_REPLAY_PROT: IPComp has no sequence numbers
        {
            if (!sa.Replay.TryReserve(count, out sequence))
            {
                return Drop(XfrmCounter.OutStateSeqError, count);
            }
            if (space.KeyManagers.ListensForAevents)
            {
                space.PostReplay(sa);
            }
        }
        sa.Account(bytes, count, now);
        return true;
    }

    private bool TryProtect(ref PacketSlot packet, OutboundSa link, in OutboundFrame frame, ulong sequence, int childMtu)
    {
        MakeRoom(ref packet, link, frame);
        return link.Proto switch
        {
            IpProtocol.Esp => TryEsp(ref packet, link, frame, sequence, childMtu),
            IpProtocol.Ah => TryAh(ref packet, link, frame, sequence, childMtu),
            IpProtocol.Comp => TryComp(ref packet, link, frame, childMtu),
            _ => Drop(XfrmCounter.OutStateProtoError),
        };
    }

    private static OutboundVerdict Finish(in PacketSlot packet, OutboundBundle bundle, bool ignoresDf = false)
    {
        if (packet.Length <= bundle.PathMtu)
        {
            return OutboundVerdict.Send;
        }
        // ip_fragment: an IPv4 packet with DF that does not fit is lost, with a statistic of IP, not of XFRM. IPv6: tunnels may fragment.
        return !ignoresDf && Ipv4View.TryParse(packet.Span, out Ipv4View ip) && ip.DontFragment ? OutboundVerdict.Dropped : OutboundVerdict.Fragment;
    }

    private bool Drop(XfrmCounter counter, int count = 1)
    {
        Dropped = counter;
        space.Statistics.Add(counter, count, worker);
        return false;
    }
}
