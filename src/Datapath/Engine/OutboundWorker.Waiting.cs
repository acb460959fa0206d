using Xfrmd.Datapath.Ports;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Engine;

// What leaves later than it came: packets that wait for an SA, and the queues of IP-TFS.
public sealed partial class OutboundWorker
{
    /// <summary><c>xfrm_policy_queue_process</c>: what waits for an SA and is due is looked up anew, the first of each policy's packets for all of them.</summary>
    private void ReleaseHeld()
    {
        while (_held.NextDue() is { } due)
        {
            if (FindFlow(due.First) is { Decision.Action: OutboundAction.Pending })
            {
                _held.Postpone(due.Policy);
                continue;
            }
            // What finds no SA now is lost; so is what no policy covers any more (xfrm_policy_kill).
            _releases = true;
            foreach (byte[] packet in _held.Release(due.Policy))
            {
                if (FindFlow(packet) is { Decision.Action: OutboundAction.Transform or OutboundAction.Pending } flow)
                {
                    Resend(packet, flow);
                }
            }
            Flush();
            _releases = false;
        }
    }

    private void Resend(byte[] packet, OutboundFlow flow)
    {
        int size = PacketSlot.Headroom + packet.Length + PacketSlot.Tailroom + (flow.Bundle?.TfcRoom ?? 0);
        int limit = (_arenaUsed + size + CacheLine - 1) & -CacheLine;
        if (limit > ArenaSize)
        {
            Flush();
            limit = (size + CacheLine - 1) & -CacheLine;
        }
        packet.CopyTo(_arena, _arenaUsed + PacketSlot.Headroom);
        Queue(flow, new PacketSlot(_arena, _arenaUsed + PacketSlot.Headroom, packet.Length, _arenaUsed, limit) { Mark = Mark });
        _arenaUsed = limit;
    }

    // On its own: the closure would be made with every call of the method that it stands in.
    private void Enqueue(OutboundBundle bundle, bool inUdp)
    {
        if (!_queued.Exists(queued => queued.Bundle == bundle))
        {
            _queued.Add((bundle, inUdp));
        }
    }

    /// <summary>Sends what IP-TFS queues hold, as far as it is due.</summary>
    private void SendQueued()
    {
        for (int i = _queued.Count - 1; i >= 0; i--)
        {
            (OutboundBundle bundle, bool inUdp) = _queued[i];
            int stride = (PacketSlot.Headroom + bundle.PathMtu + PacketSlot.Tailroom + CacheLine - 1) & -CacheLine;
            for (; ; )
            {
                if (_fragmentsUsed + stride > FragmentArenaSize)
                {
                    _wire.Flush();
                    _fragmentsUsed = 0;
                }
                PacketSlot slot = new(_fragments, _fragmentsUsed + PacketSlot.Headroom, 0, _fragmentsUsed, _fragmentsUsed + stride) { Mark = Mark };
                if (!_outbound.TryTake(bundle, ref slot, _now, out OutboundVerdict verdict))
                {
                    break;
                }
                if (verdict == OutboundVerdict.Send)
                {
                    _fragmentsUsed += stride;
                    _wire.Add(slot, inUdp);
                }
            }
            if (_outbound.QueueDelay(bundle) == TimeSpan.Zero)
            {
                _queued.RemoveAt(i);
            }
        }
        _wire.Flush();
        _fragmentsUsed = 0;
    }
}
