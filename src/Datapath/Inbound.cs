using System.Buffers.Binary;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>
/// The way of a packet in: SA, state, encapsulation, replay, limits, protocol, accounting, mode, again while the result is another protected
/// packet, then policy; in the order and with the counters of <c>xfrm_input</c> and <c>__xfrm_policy_check</c>. One per worker; nothing here
/// blocks or allocates once an SA has been seen. Files: Inbound.cs the order of things, Inbound.Esp.cs, Inbound.Ah.cs, Inbound.Comp.cs the
/// protocols, Inbound.Mode.cs what the modes undo, Inbound.Iptfs.cs payloads of many packets, Inbound.Policy.cs the last word.
/// </summary>
/// <param name="space">Where SAs, policies, statistics and events are.</param>
/// <param name="host">What is local.</param>
/// <param name="worker">The worker's number, to spread the counters.</param>
public sealed partial class Inbound(XfrmNamespace space, IInboundHost host, int worker = 0) : IDisposable
{
    private readonly Dictionary<SecurityAssociation, InboundSa> _links = new(ReferenceEqualityComparer.Instance);
    private readonly SecurityAssociation[] _path = new SecurityAssociation[SecurityAssociation.MaxDepth];
    private int _depth, _verified;
    private Be32 _spi;
    private InboundSa? _last;
    private int _lastGeneration;
    private ulong _now;

    /// <summary>Why the last packet was dropped, where Linux counts that; null where it was not.</summary>
    public XfrmCounter? Dropped { get; private set; }

    /// <summary>The SAs that the last packet came through, outermost first.</summary>
    public ReadOnlySpan<SecurityAssociation> Path => _path.AsSpan(0, _depth);

    /// <summary>Takes off all transforms of one packet, in place.</summary>
    /// <param name="packet">As <paramref name="arrival"/> says; <see cref="PacketSlot.Mark"/> is its mark. Delivered: the inner IP packet.</param>
    /// <param name="arrival">How it came.</param>
    /// <param name="now">Wall-clock seconds.</param>
    public InboundResult Process(ref PacketSlot packet, in Arrival arrival, ulong now)
    {
        Arrival layer = arrival;
        uint mark = packet.Mark;
        bool fixChecksum = false;
        _depth = _verified = 0;
        _spi = default;
        _now = now;
        Dropped = null;
        _iptfs.Clear();
        for (; ; )
        {
            if (!TryReadSpi(packet.Span, layer, out Be32 spi, out uint sequence))
            {
                return IsCopy(layer) ? default : Drop(XfrmCounter.InHdrError, layer);
            }
            _spi = spi;
            if (_depth == _path.Length)
            {
                return Drop(XfrmCounter.InBufferError, layer);
            }
            if (Find(mark, layer, spi) is not { } sa)
            {
                return IsCopy(layer) ? default : Drop(XfrmCounter.InNoStates, layer);
            }
            if (sa.Direction == SaDirection.Out)
            {
                return Drop(XfrmCounter.InStateDirError, layer);
            }
            packet.Mark = sa.SetMark.Apply(packet.Mark);
            _path[_depth++] = sa;
            if (sa.State != SaState.Valid)
            {
                return Drop(sa.State == SaState.Acq ? XfrmCounter.AcquireError : XfrmCounter.InStateInvalid, layer);
            }
            if ((sa.Encap is { } encap ? encap.EncapType : 0) != layer.EncapType)
            {
                return Drop(XfrmCounter.InStateMismatch, layer);
            }
            // IPComp has the number 0, which a window refuses: its SAs must have none, as with Linux.
            if (sa.Replay.Check(sequence) is not ReplayVerdict.Fresh and ReplayVerdict early)
            {
                sa.CountReplay(early);
                return Drop(XfrmCounter.InStateSeqError, layer);
            }
            switch (sa.CheckExpiry(now))
            {
                case ExpiryVerdict.Hard:
                    space.PostExpire(sa, hard: true);
                    return Drop(XfrmCounter.InStateExpired, layer);
                case ExpiryVerdict.Soft:
                    space.PostExpire(sa, hard: false);
                    break;
            }
            uint sequenceHigh = sa.Replay.InferHigh(sequence);
            if (!TryOpen(ref packet, Link(sa), ref layer, sequenceHigh, out byte next))
            {
                return Drop(XfrmCounter.InStateProtoError, layer);
            }
            if (sa.Replay.RecheckAndAdvance(sequence, sequenceHigh) is not ReplayVerdict.Fresh and ReplayVerdict late)
            {
                sa.CountReplay(late);
                return Drop(XfrmCounter.InStateSeqError, layer);
            }
            if (sa.Replay.Window != 0 && space.KeyManagers.ListensForAevents)
            {
                space.PostReplay(sa);
            }
            sa.Account(packet.Length, 1, now);
            // RFC 3948 section 3.1.2; another SA within starts anew (CHECKSUM_NONE of esp_input, ah_input and ipcomp_input).
            fixChecksum = IsPlainTunnel(layer.Proto) ? fixChecksum : layer.EncapType != 0 && sa.Mode == XfrmMode.Transport;
            switch (Undo(ref packet, ref layer, sa, next))
            {
                case ModeOutcome.Again:
                    if (sa.Mode == XfrmMode.Transport)
                    {
                        continue;
                    }
                    mark = packet.Mark;
                    if (host.ChecksEachTunnel && layer.Proto == IpProtocol.Esp && !PassesBetween(packet, layer))
                    {
                        return default;
                    }
                    continue;
                case ModeOutcome.Done:
                    if (fixChecksum)
                    {
                        TransportChecksum.Renew(packet.Span);
                    }
                    return Judge(packet.Span, packet.Mark);
                case ModeOutcome.Aggregate:
                    return AcceptIptfs(packet, Link(sa), ((ulong)sequenceHigh << 32) | sequence);
                case ModeOutcome.CannotBeRead:
                    return Drop(XfrmCounter.InHdrError, layer);
                case ModeOutcome.Wrong:
                    return Drop(XfrmCounter.InStateModeError, layer);
                default:
                    return default;
            }
        }
    }

    /// <summary>Forgets SAs that are gone: their contexts hold keys. To be called now and then by the worker itself.</summary>
    public void Sweep()
    {
        foreach ((SecurityAssociation sa, InboundSa link) in _links)
        {
            if (sa.State == SaState.Dead)
            {
                _links.Remove(sa);
                _iptfsLinks.Remove(link);
                link.Dispose();
            }
        }
        _last = null;
        _allowed.Clear();
    }

    public void Dispose()
    {
        foreach (InboundSa link in _links.Values)
        {
            link.Dispose();
        }
        _links.Clear();
    }

    /// <summary><c>xfrm_parse_spi</c>: where each protocol has its SPI and sequence number. An IPIP packet's is its source (<c>xfrm_tunnel_rcv</c>), over IPv6 a number for it.</summary>
    private bool TryReadSpi(Span<byte> bytes, in Arrival layer, out Be32 spi, out uint sequence)
    {
        spi = default;
        sequence = 0;
        switch (layer.Proto)
        {
            case IpProtocol.Esp when EspView.TryParse(bytes, out EspView esp):
                spi = Be32.From(esp.Spi);
                sequence = esp.Sequence;
                return true;
            case IpProtocol.Ah when AhView.TryParse(bytes, out AhView ah):
                spi = Be32.From(ah.Spi);
                sequence = ah.Sequence;
                return true;
            case IpProtocol.Comp when IpCompView.TryParse(bytes, out IpCompView comp):
                spi = Be32.From(comp.Cpi);
                return true;
            case IpProtocol.IpIp or IpProtocol.Ipv6:
                spi = space.Sad.TunnelSpi(layer.Saddr, layer.Family);
                return spi != default;
            default:
                return false;
        }
    }

    /// <summary>Plain IP in IP from the wire that no SA wants: a tunnel device of the host's has had it already.</summary>
    private bool IsCopy(in Arrival layer) => _depth == 0 && IsForTunnelDevice(layer);

    private SecurityAssociation? Find(uint mark, in Arrival layer, Be32 spi)
    {
        if (_last is { Sa: var last } && space.Generation == _lastGeneration && last.Id.Spi == spi && last.Id.Proto == TypeOf(layer)
            && last.Family == layer.Family && last.Id.Daddr.Equals(layer.Daddr, layer.Family) && last.Mark.Matches(mark))
        {
            return last;
        }
        _last = null;
        _lastGeneration = space.Generation;
        return space.Sad.Lookup(mark, layer.Daddr, spi, TypeOf(layer), layer.Family);
    }

    /// <summary>The SA's protocol: whatever a plain tunnel carries, its SA has the outer family's (xfrm4_tunnel.c, xfrm6_tunnel.c).</summary>
    private static byte TypeOf(in Arrival layer) =>
        layer.Proto is not (IpProtocol.IpIp or IpProtocol.Ipv6) ? layer.Proto : layer.Family == AddressFamily.Inet ? IpProtocol.IpIp : IpProtocol.Ipv6;

    /// <summary>This worker's contexts of a valid SA.</summary>
    private InboundSa Link(SecurityAssociation sa)
    {
        if (_last is { } last && last.Sa == sa)
        {
            return last;
        }
        if (!_links.TryGetValue(sa, out InboundSa? link))
        {
            link = new InboundSa(sa);
            _links.Add(sa, link);
        }
        _last = link;
        return link;
    }

    private bool TryOpen(ref PacketSlot packet, InboundSa link, ref Arrival layer, uint sequenceHigh, out byte next)
    {
        next = 0;
        return layer.Proto switch
        {
            IpProtocol.Esp => TryEsp(ref packet, link, layer, sequenceHigh, out next),
            IpProtocol.Ah => TryAh(ref packet, link, ref layer, sequenceHigh, out next),
            IpProtocol.Comp => TryComp(ref packet, ref layer, out next),
            _ => TryIpIp(layer, out next),
        };
    }

    // An IPIP SA has nothing to undo but its header (xfrm_tunnel_input).
    private static bool TryIpIp(in Arrival layer, out byte next)
    {
        next = layer.Proto;
        return true;
    }

    private InboundResult Drop(XfrmCounter counter, in Arrival layer) => Drop(counter, layer.OuterFlow());

    private InboundResult Drop(XfrmCounter counter, in Flow flow)
    {
        Dropped = counter;
        space.Drop(counter, flow, _spi, worker);
        return default;
    }
}
