using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Engine;

// What becomes of a flow: decided once, and asked again when what it rests on has changed.
public sealed partial class OutboundWorker
{
    private OutboundFlow? FindFlow(Span<byte> packet)
    {
        if (!FlowDecoder.TryDecode(packet, Mark, _device.OutputInterface, _device.IfId, out Flow key))
        {
            return null;
        }
        OutboundFlow? flow = _runFlow is { } last && last.Key == key ? last : _flows.Find(key);
        if (flow is not null && flow.Generation == _space.Generation && _now < flow.ValidUntil && flow.TooBigCount == _wire.TooBigCount && flow.PathEpoch == _paths.Epoch)
        {
            return flow;
        }
        // The packets of the run were decided by what stood in the entry.
        EndRun();
        flow ??= _flows.Replace(key);
        flow.Quoted = FlowDecoder.TryDecodeEmbedded(packet, key, out Flow quoted) ? quoted : null;
        return Decide(flow);
    }

    private OutboundFlow Decide(OutboundFlow flow)
    {
        Flow routed = Routed(flow);
        OutboundDecision decision = Resolve(routed);
        if (flow.Quoted is { } quoted)
        {
            decision = DecideByQuoted(decision, routed, quoted with { Oif = routed.Oif });
        }
        flow.Decision = decision;
        flow.Generation = decision.Generation;
        flow.TooBigCount = _wire.TooBigCount;
        flow.PathEpoch = _paths.Epoch;
        flow.MarkedAt = _now;
        flow.Bundle = null;
        // Without an SA it is asked anew for each packet, so that an ACQUIRE is repeated once the larval SA has gone.
        flow.ValidUntil = decision.Action == OutboundAction.Pending || decision.IsFallback || flow.Quoted is not null ? 0 : _now + PathLifetime;
        if (decision.Action == OutboundAction.Transform)
        {
            OutboundSa[] chain = new OutboundSa[decision.Sas.Length];
            uint mark = Mark;
            for (int i = 0; i < chain.Length; i++)
            {
                chain[i] = Link(decision.Sas[i]);
                mark = decision.Sas[i].SetMark.Apply(mark);
            }
            SecurityAssociation outermost = decision.Sas[^1];
            flow.InUdp = outermost.Encap is not null;
            flow.Bundle = new OutboundBundle(chain, _paths.MtuTowards(OuterDestination(flow.Key, decision.Sas), outermost.Family, mark));
        }
        else if (decision.Action == OutboundAction.Bypass)
        {
            flow.PlainMtu = _paths.MtuTowards(flow.Key.Daddr, flow.Key.Family, Mark);
        }
        return flow;
    }

    // One thread carries all that a device takes: as on a machine with one CPU.
    private OutboundDecision Resolve(in Flow flow, bool isQuoted = false) => _space.Resolver.Resolve(
        flow, cpu: 0, steeredBy: _device is { IfId: 0, Sockets: null } ? new XfrmMark(_device.Mark, _device.MarkMask) : null, ofSocket: _device.Sockets?.Outbound, isQuoted: isQuoted);

    /// <summary>
    /// An ICMP error that no SA is for may go through that of the packet that it is about: of this host's own <c>icmp_route_lookup</c>, of those on
    /// their way <c>xfrm_out_fwd_icmp</c>. What finds no SA there either goes as it would have gone.
    /// </summary>
    private OutboundDecision DecideByQuoted(OutboundDecision decision, in Flow error, in Flow quoted)
    {
        bool isOwn = _paths.IsHere(error.Saddr, error.Family);
        bool mayAsk = isOwn
            ? decision.Action == OutboundAction.Bypass || decision.Errno == Errno.EPERM
            : decision.Action == OutboundAction.Bypass && FlowDecoder.IsPathError(error);
        if (!mayAsk)
        {
            return decision;
        }
        OutboundDecision other = Resolve(quoted, isQuoted: true);
        if (other.Action == OutboundAction.Transform || (isOwn && other.Errno == Errno.EPERM))
        {
            return other;
        }
        if (other.Counter is { } counter)
        {
            _space.Statistics.Add(counter, 1, _worker);
        }
        return decision;
    }

    /// <summary>
    /// The flow with <c>flowi_oif</c> as XFRM finds it behind routing: the route's interface (<c>decode_session4</c>, <c>decode_session6</c>,
    /// <c>ip_route_output_key_hash_rcu</c>), but none for IPv6 packets of this host (<c>ip6_route_output</c> leaves it as the socket has it) and for
    /// its ICMP errors (<c>icmp_route_lookup</c>).
    /// </summary>
    private Flow Routed(OutboundFlow flow)
    {
        if (flow.Key.Oif != 0 || _device.IfId != 0)
        {
            return flow.Key;
        }
        if (flow.RoutedAt != _now)
        {
            flow.RoutedAt = _now;
            bool unknown = (flow.Key.Family == AddressFamily.Inet6 || (flow.Key.Proto == NextHeader.Icmp && IcmpView.IsErrorType(flow.Key.Sport))) && _paths.IsHere(flow.Key.Saddr, flow.Key.Family);
            flow.OutputInterface = unknown ? 0 : _paths.OutputInterface(flow.Key.Daddr, flow.Key.Family, Mark);
        }
        return flow.Key with { Oif = flow.OutputInterface };
    }

    /// <summary>Transport mode keeps the packet's own destination; any other has the SA's.</summary>
    private static XfrmAddress OuterDestination(in Flow flow, SecurityAssociation[] sas)
    {
        for (int i = sas.Length - 1; i >= 0; i--)
        {
            if (sas[i].Mode != XfrmMode.Transport)
            {
                return sas[i].Id.Daddr;
            }
        }
        return flow.Daddr;
    }

    private OutboundSa Link(SecurityAssociation sa)
    {
        if (!_links.TryGetValue(sa, out OutboundSa? link))
        {
            link = new OutboundSa(sa);
            _links.Add(sa, link);
        }
        return link;
    }
}
