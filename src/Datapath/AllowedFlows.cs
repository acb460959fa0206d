using Xfrmd.Kernel;

namespace Xfrmd.Datapath;

/// <summary>
/// One worker's memory of what policy let pass within this second: a flow out of one SA, in a direction, while the databases stay as they are.
/// The next of its packets need no lookup. Linux has no such memory; it answers as the lookup would.
/// </summary>
internal sealed class AllowedFlows(XfrmNamespace space)
{
    private const int Size = 64;
    private readonly Entry[] _entries = new Entry[Size];

    /// <summary>Whether the lookup would let it pass.</summary>
    /// <param name="flow">The flow, of a packet that is no fragment.</param>
    /// <param name="sa">The SA that it came through.</param>
    /// <param name="direction">In or fwd.</param>
    /// <param name="now">Wall-clock seconds: what was looked up is marked as used once a second.</param>
    public bool Contains(in Flow flow, SecurityAssociation sa, PolicyDirection direction, ulong now)
    {
        ref readonly Entry entry = ref _entries[IndexOf(flow)];
        return entry.Sa == sa && entry.Generation == space.Generation && entry.Second == now && entry.Direction == direction && entry.Flow == flow;
    }

    /// <summary>Remembers it.</summary>
    /// <param name="flow">As for <see cref="Contains"/>.</param>
    /// <param name="sa">The same.</param>
    /// <param name="direction">The same.</param>
    /// <param name="now">The same.</param>
    /// <param name="generation">Of the databases, before they were asked.</param>
    public void Add(in Flow flow, SecurityAssociation sa, PolicyDirection direction, ulong now, int generation) =>
        _entries[IndexOf(flow)] = new Entry { Flow = flow, Sa = sa, Direction = direction, Second = now, Generation = generation };

    public void Clear() => Array.Clear(_entries);

    private static int IndexOf(in Flow flow)
    {
        uint hash = (uint)flow.Saddr.GetHashCode() ^ ((uint)flow.Daddr.GetHashCode() * 31) ^ ((uint)flow.Sport << 16) ^ flow.Dport;
        return (int)((hash * 0x9E3779B1u) >> 26);
    }

    private struct Entry
    {
        public Flow Flow;
        public SecurityAssociation? Sa;
        public PolicyDirection Direction;
        public ulong Second;
        public int Generation;
    }
}
