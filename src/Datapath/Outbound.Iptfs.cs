using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

public sealed partial class Outbound
{
    /// <summary>
    /// The next packet of an aggregating bundle (<see cref="OutboundBundle.IsAggregating"/>): to be asked after each batch, and when
    /// <see cref="QueueDelay"/> has passed, until there is none. Mirrors <c>iptfs_delay_timer</c>.
    /// </summary>
    /// <param name="bundle">The SAs.</param>
    /// <param name="packet">An empty slot at the place where a payload may begin; behind it there must be room for the path's MTU.</param>
    /// <param name="now">Wall-clock seconds.</param>
    /// <param name="verdict">Send, Fragment or Dropped.</param>
    public bool TryTake(OutboundBundle bundle, ref PacketSlot packet, ulong now, out OutboundVerdict verdict)
    {
        verdict = OutboundVerdict.Dropped;
        OutboundSa link = bundle.Chain[0];
        if (link.Queue is not { IsEmpty: false } queue || QueueDelay(bundle) > TimeSpan.Zero)
        {
            return false;
        }
        int room = Pmtu.IptfsPayload(link.Sa, bundle.ChildMtu(0));
        if (packet.Offset + AggfragView.HeaderLength + room > packet.Limit)
        {
            return false;
        }
        if (!queue.IsMidPacket && queue.HeadLeft > room && link.Sa.Replay.TryReserve((queue.HeadLeft + room - 1) / room, out ulong first))
        {
            (link.ReservedSequence, link.ReservedCount) = (first, (queue.HeadLeft + room - 1) / room);
        }
        packet.Length = queue.Fill(packet.Buffer.AsSpan(packet.Offset, AggfragView.HeaderLength + room));
        OutboundFrame frame = new()
        {
            Payload = packet.Offset,
            PayloadLength = packet.Length,
            NextHeader = NextHeader.Aggfrag,
            FragmentField = Ipv4View.DontFragmentBit,
        };
        packet.Mark = link.Sa.SetMark.Apply(packet.Mark);
        bool isProtected = HasRoom(packet, link, frame, bundle.ChildMtu(0))
            && TryAdmit(link, frame.PayloadLength, 1, now, out ulong sequence)
            && TryProtect(ref packet, link, frame, sequence, bundle.ChildMtu(0));
        verdict = isProtected ? Protect(ref packet, bundle, 1, now) : OutboundVerdict.Dropped;
        return true;
    }

    /// <summary>How long the queued packets have still to wait for others (XFRMA_IPTFS_INIT_DELAY).</summary>
    public TimeSpan QueueDelay(OutboundBundle bundle)
    {
        OutboundSa link = bundle.Chain[0];
        if (link.Sa.Iptfs is not { InitDelay: > 0 and uint delay } || link.Queue is not { IsEmpty: false, IsMidPacket: false })
        {
            return TimeSpan.Zero;
        }
        TimeSpan left = TimeSpan.FromMicroseconds(delay) - space.Time.GetElapsedTime(link.QueuedSince);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    /// <summary><c>iptfs_output_collect</c>.</summary>
    private OutboundVerdict Enqueue(in PacketSlot packet, OutboundBundle bundle)
    {
        OutboundSa link = bundle.Chain[0];
        if (bundle.NeverCuts && packet.Length > bundle.InnerMtu)   // IPv6 of up to 1280 bytes: no answer could help
        {
            Drop(XfrmCounter.OutError);
            return OutboundVerdict.Dropped;
        }
        bool isFirst = link.Queue!.IsEmpty;
        Span<byte> bytes = Ipv4View.TryParse(packet.Span, out Ipv4View ip) ? ip.Bytes : Ipv6View.TryParse(packet.Span, out Ipv6View ip6) ? ip6.Bytes : default;
        if (bytes.IsEmpty || !link.Queue.TryEnqueue(bytes))
        {
            Drop(XfrmCounter.OutNoQueueSpace);
            return OutboundVerdict.Dropped;
        }
        if (isFirst)
        {
            link.QueuedSince = space.Time.GetTimestamp();
        }
        return OutboundVerdict.Queued;
    }
}
