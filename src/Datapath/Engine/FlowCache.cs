using System.Runtime.CompilerServices;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Engine;

/// <summary>One worker's memory of flows: two places per hash, the newer of the two replaces the older. Entries are made once and used again.</summary>
internal sealed class FlowCache
{
    private const int Sets = 2048, Ways = 2;
    private readonly OutboundFlow?[] _entries = new OutboundFlow[Sets * Ways];

    /// <summary>The entry of a flow, or null.</summary>
    public OutboundFlow? Find(in Flow flow)
    {
        int set = SetOf(flow);
        return Is(_entries[set], flow) ? _entries[set] : Is(_entries[set + 1], flow) ? _entries[set + 1] : null;
    }

    /// <summary>An entry for a flow that has none: the older of its set moves out.</summary>
    public OutboundFlow Replace(in Flow flow)
    {
        int set = SetOf(flow);
        (_entries[set], _entries[set + 1]) = (_entries[set + 1], _entries[set]);
        OutboundFlow entry = _entries[set] ??= new OutboundFlow();
        entry.Key = flow;
        return entry;
    }

    public void Clear() => Array.Clear(_entries);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Is(OutboundFlow? entry, in Flow flow) => entry is not null && entry.Key == flow;

    private static int SetOf(in Flow flow)
    {
        uint hash = (uint)flow.Saddr.GetHashCode() * 0x9E3779B1u;
        hash = (hash ^ (uint)flow.Daddr.GetHashCode()) * 0x85EBCA6Bu;
        hash = (hash ^ ((uint)flow.Sport << 16) ^ flow.Dport ^ ((uint)flow.Proto << 8)) * 0xC2B2AE35u;
        return (int)(hash >> 21) * Ways;
    }
}
