using Xfrmd.Kernel;

namespace Xfrmd.Datapath;

public sealed partial class Inbound
{
    private readonly IptfsOutput _iptfs = new();
    private readonly List<InboundSa> _iptfsLinks = [];

    /// <summary>The mark of what <see cref="TryTake"/> gives.</summary>
    public uint IptfsMark { get; private set; }

    /// <summary>
    /// The next inner packet of an IP-TFS payload: to be asked after each <see cref="Process"/> and <see cref="ExpireIptfs"/> until there is none.
    /// Packets that policy refuses are left out, and counted.
    /// </summary>
    /// <param name="packet">The packet; it stays until the next call of <see cref="Process"/> or <see cref="ExpireIptfs"/>.</param>
    /// <param name="result">As of <see cref="Process"/>; delivered.</param>
    public bool TryTake(out Span<byte> packet, out InboundResult result)
    {
        while (_iptfs.TryTake(out packet))
        {
            result = Judge(packet, IptfsMark);
            if (result.Deliver)
            {
                return true;
            }
        }
        packet = default;
        result = default;
        return false;
    }

    /// <summary>Whether payloads are waiting for one that may be lost: then <see cref="ExpireIptfs"/> is due within a second.</summary>
    public bool HasIptfs => _iptfsLinks.Count > 0;

    /// <summary>Gives up what has been missing for longer than the SA's drop time. One SA at a time: take its packets, and ask again until false.</summary>
    /// <param name="index">0 at first; counts the SAs.</param>
    public bool ExpireIptfs(ref int index)
    {
        if (index >= _iptfsLinks.Count)
        {
            return false;
        }
        InboundSa link = _iptfsLinks[index++];
        _iptfs.Clear();
        link.Path.CopyTo(_path, 0);
        (_depth, IptfsMark) = (link.Path.Length, link.Mark);
        link.Iptfs!.Expire();
        return true;
    }

    /// <summary><c>iptfs_input</c>: the slot's payload is taken apart; its packets wait in <see cref="TryTake"/>.</summary>
    private InboundResult AcceptIptfs(in PacketSlot packet, InboundSa link, ulong sequence)
    {
        if (link.Iptfs is null)
        {
            link.Iptfs = new IptfsReceiver(link.Sa.Iptfs ?? new SaIptfs(), space.Time, _iptfs, counter => Drop(counter, default(Flow)));
            _iptfsLinks.Add(link);
        }
        IptfsMark = link.Mark = packet.Mark;
        if (link.Path.Length != _depth)
        {
            link.Path = _path[.._depth];
        }
        link.Iptfs.Accept(packet.Span, sequence);
        return default;
    }
}
