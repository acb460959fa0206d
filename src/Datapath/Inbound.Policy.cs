using System.Buffers.Binary;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

public sealed partial class Inbound
{
    private const int LoopbackIndex = 1;
    private readonly AllowedFlows _allowed = new(space);

    /// <summary>Whether a packet that came in clear may pass: the same check with no SAs. The counter has been incremented if not.</summary>
    /// <param name="packet">A whole IP packet.</param>
    /// <param name="mark">Its mark.</param>
    public bool Allows(Span<byte> packet, uint mark)
    {
        _depth = _verified = 0;
        return TryJudge(packet, mark, 0, out _);
    }

    /// <summary><c>xfrm_policy_check</c> in the direction that the packet takes.</summary>
    private InboundResult Judge(Span<byte> packet, uint mark)
    {
        uint ifId = InterfaceOf(_path[_depth - 1]);
        return TryJudge(packet, mark, ifId, out PolicyDirection direction) ? new InboundResult(true, direction, ifId) : default;
    }

    /// <summary>The check of a packet that came out of a tunnel and is protected once more. What it finds in order the next one may pass over.</summary>
    private bool PassesBetween(in PacketSlot packet, in Arrival layer)
    {
        Span<byte> whole = packet.Buffer.AsSpan(layer.HeaderAt, layer.HeaderLength + packet.Length);
        return TryJudge(whole, packet.Mark, InterfaceOf(_path[_depth - 1]), out _);
    }

    private uint InterfaceOf(SecurityAssociation sa) => sa.IfId != 0 && host.HasInterface(sa.IfId) ? sa.IfId : 0;

    private bool TryJudge(Span<byte> packet, uint mark, uint ifId, out PolicyDirection direction)
    {
        direction = PolicyDirection.In;
        if (!FlowDecoder.TryDecode(packet, mark, LoopbackIndex, ifId, out Flow flow, asWhole: true))
        {
            return false;   // IP would not take it
        }
        Flow known = flow;
        if (!host.IsLocal(flow.Daddr, flow.Family))
        {
            direction = PolicyDirection.Fwd;
        }
        bool mayBeKnown = _depth == 1 && IsPlain(packet, flow.Proto);
        if (mayBeKnown && _allowed.Contains(known, _path[0], direction, _now))
        {
            return direction == PolicyDirection.Fwd || TransportChecksum.PassesEarly(packet);
        }
        int generation = space.Generation;
        if (direction == PolicyDirection.Fwd && host.HasBecomeLocal(flow.Daddr, flow.Family))
        {
            direction = PolicyDirection.In;
        }
        if (direction == PolicyDirection.Fwd)
        {
            FlowDecoder.TryDecode(packet, mark, 0, ifId, out flow);
        }
        else if (_depth > 0 && FlowDecoder.IsLaterFragment(packet))
        {
            // Linux checks the datagram once it is whole. Its first fragment, which has the ports, stands for it: without that it never is.
            return true;
        }
        if (direction == PolicyDirection.In && !TransportChecksum.PassesEarly(packet))
        {
            return false;
        }
        Flow? embedded = FlowDecoder.IsPathError(flow) && FlowDecoder.TryDecodeEmbedded(packet, flow, out Flow quoted) ? quoted : null;
        Policy? ofSocket = direction == PolicyDirection.In ? host.SocketPolicy(flow) : null;
        if (InboundPolicyCheck.Allows(space, flow, direction, _path.AsSpan(0, _depth), embedded, ref _verified, out XfrmCounter? counter, ofSocket))
        {
            if (mayBeKnown)
            {
                _allowed.Add(known, _path[0], direction, _now, generation);
            }
            return true;
        }
        if (counter is { } reason)
        {
            Drop(reason, flow);
        }
        return direction == PolicyDirection.In && AllowsQuoted(packet, flow);
    }

    /// <summary>TCP or UDP, and surely no fragment: the flow says all that policy asks for.</summary>
    private static bool IsPlain(ReadOnlySpan<byte> packet, byte protocol) =>
        protocol is NextHeader.Tcp or NextHeader.Udp
        && (packet[0] >> 4 == 4
            ? (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & (Ipv4View.MoreFragmentsBit | Ipv4View.OffsetMask)) == 0
            : packet[Ipv6View.NextHeaderAt] == protocol);

    /// <summary><c>icmp_rcv</c>, <c>icmpv6_rcv</c>: ICMP that the check refused is checked once more as the packet that it quotes, where its SA has XFRM_STATE_ICMP.</summary>
    private bool AllowsQuoted(Span<byte> packet, in Flow flow)
    {
        if (_depth == 0 || (_path[_depth - 1].Flags & SaFlags.Icmp) == 0 || !FlowDecoder.TryDecodeQuoted(packet, flow, out Flow quoted))
        {
            return false;
        }
        if (InboundPolicyCheck.Allows(space, quoted, PolicyDirection.In, _path.AsSpan(0, _depth), embedded: null, ref _verified, out XfrmCounter? counter))
        {
            Dropped = null;
            return true;
        }
        if (counter is { } reason)
        {
            Drop(reason, quoted);
        }
        return false;
    }
}
