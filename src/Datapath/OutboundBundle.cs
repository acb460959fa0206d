using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath;

/// <summary>The SAs that a flow goes through, innermost first, and how large its packets may be: a <c>struct xfrm_dst</c> chain. One per worker; a new path MTU means a new bundle.</summary>
public sealed class OutboundBundle
{
    private readonly OutboundSa[] _chain;
    private readonly int[] _childMtu;

    /// <param name="chain">As <see cref="OutboundDecision.Sas"/>: innermost first, at least one.</param>
    /// <param name="pathMtu">The MTU towards the outermost destination.</param>
    public OutboundBundle(OutboundSa[] chain, int pathMtu)
    {
        _chain = chain;
        _childMtu = new int[chain.Length];
        PathMtu = pathMtu;
        // xfrm_init_pmtu: from the device towards the inner packet.
        int mtu = pathMtu;
        for (int i = chain.Length - 1; i >= 0; i--)
        {
            _childMtu[i] = mtu;
            mtu = Pmtu.Inner(chain[i].Sa, mtu);
        }
        ForwardMtu = mtu;
        NeverCuts = chain[0].Sa is { Mode: XfrmMode.Iptfs, Iptfs.DontFragment: true };
        InnerMtu = NeverCuts ? Math.Min(mtu, Pmtu.IptfsPayload(chain[0].Sa, _childMtu[0])) : mtu;
        foreach (OutboundSa link in chain)
        {
            TfcRoom = Math.Max(TfcRoom, (int)Math.Min(link.Sa.TfcPad, (uint)pathMtu));
        }
        IsTransport = Array.TrueForAll(chain, static link => link.Sa.Mode == XfrmMode.Transport);
    }

    public ReadOnlySpan<OutboundSa> Chain => _chain;

    /// <summary>The largest packet that leaves unfragmented.</summary>
    public int PathMtu { get; }

    /// <summary>The largest inner packet that leaves unfragmented; what an ICMP error tells an IPv4 sender.</summary>
    public int InnerMtu { get; }

    /// <summary>What IP forwarding knows of this path (<c>xfrm_mtu</c>): XFRMA_IPTFS_PKT_SIZE is no part of it.</summary>
    internal int ForwardMtu { get; }

    /// <summary>IP-TFS that may not cut packets (XFRMA_IPTFS_DONT_FRAG).</summary>
    internal bool NeverCuts { get; }

    /// <summary>The largest packet that an IPv6 sender is believed to be able to send, never less than 1280: what does not fit is cut outside.</summary>
    public int InnerMtu6 => Math.Max(InnerMtu, Ipv6View.MinMtu);

    /// <summary>Bytes that TFC padding may add, beside <see cref="PacketSlot.Tailroom"/>.</summary>
    public int TfcRoom { get; }

    /// <summary>The innermost SA queues packets and sends many in one (IP-TFS).</summary>
    public bool IsAggregating => _chain[0].Queue is not null;

    /// <summary>No SA builds an outer header.</summary>
    internal bool IsTransport { get; }

    /// <summary><c>child_mtu_cached</c>: the MTU that the packets of chain element <paramref name="index"/> meet.</summary>
    internal int ChildMtu(int index) => _childMtu[index];
}
