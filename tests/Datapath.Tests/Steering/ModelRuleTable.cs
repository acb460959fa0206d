using System.Runtime.InteropServices;
using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests.Steering;

/// <summary>Does with a packet what nf_tables would do with the rules: an independent reading of shapes and keys.</summary>
internal sealed class ModelRuleTable : IRuleTable
{
    private readonly List<(RuleGroup Group, HashSet<SelectorKey> Keys)> _rules = [];

    public int Changes { get; private set; }

    public int RuleCount => _rules.Count;

    public void AddGroup(RuleGroup group, RuleGroup? behind)
    {
        Changes++;
        int at = behind is null ? 0 : _rules.FindIndex(r => r.Group == behind) + 1;
        Assert.True(behind is null || at > 0, "placed behind a rule that is not there");
        _rules.Insert(at, (group, []));
    }

    public void RemoveGroup(RuleGroup group)
    {
        Changes++;
        Assert.Equal(1, _rules.RemoveAll(r => r.Group == group));
    }

    public void AddKey(RuleGroup group, SelectorKey key)
    {
        Changes++;
        Assert.True(_rules.Single(r => r.Group == group).Keys.Add(key));
    }

    public void RemoveKey(RuleGroup group, SelectorKey key)
    {
        Changes++;
        Assert.True(_rules.Single(r => r.Group == group).Keys.Remove(key));
    }

    /// <summary>The verdict of the first rule that the packet meets; the packet's ports are real ones, whether or not Linux sees them.</summary>
    public SteeringVerdict? Evaluate(in Packet packet)
    {
        foreach ((RuleGroup group, HashSet<SelectorKey> keys) in _rules)
        {
            if (KeyOf(group.Shape, packet) is { } key && (key.Length == 0 ? keys.Count > 0 : keys.Contains(new SelectorKey(key))))
            {
                return group.Verdict;
            }
        }
        return null;
    }

    private static byte[]? KeyOf(in SelectorShape shape, in Packet packet)
    {
        bool ported = packet.Proto is 6 or 17 or 132 or 136 or 1 or 58 or 47;
        bool icmp = packet.Proto is 1 or 58, gre = packet.Proto == 47;
        if (shape.Family != packet.Family
            || (shape.Kind == PortKind.Fragment && !packet.Fragment)
            || (shape.Kind is not (PortKind.None or PortKind.Fragment) && packet.Fragment)
            || (shape.Kind == PortKind.Portless && ported)
            || (shape.Kind == PortKind.GreKey && !(gre && packet.GreKey))
            || (shape.Kind == PortKind.GreKeyAfterChecksum)
            || (shape.Kind == PortKind.GreWithoutKey && (!gre || packet.GreKey)))
        {
            return null;
        }
        List<byte> key = [];
        if (shape.PrefixS > 0)
        {
            key.AddRange(packet.Saddr.Masked(shape.PrefixS, shape.Family).Bytes[..shape.AddressLength]);
        }
        if (shape.PrefixD > 0)
        {
            key.AddRange(packet.Daddr.Masked(shape.PrefixD, shape.Family).Bytes[..shape.AddressLength]);
        }
        if (shape.Protocol)
        {
            key.AddRange([packet.Proto, 0, 0, 0]);
        }
        foreach ((bool present, ushort mask, ushort port) in new[] { (shape.HasSport, shape.SportMask, packet.Sport), (shape.HasDport, shape.DportMask, packet.Dport) })
        {
            int value = port & mask;
            if (present)
            {
                key.AddRange(icmp ? [(byte)value, 0, 0, 0] : [(byte)(value >> 8), (byte)value, 0, 0]);
            }
        }
        if (shape.MarkMask != 0)
        {
            uint mark = packet.Mark & shape.MarkMask;
            key.AddRange(MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in mark)));
        }
        if (shape.Interface)
        {
            int oif = packet.Oif;
            key.AddRange(MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in oif)));
        }
        return [.. key];
    }

    /// <summary>A packet, and the flow that Linux makes of it.</summary>
    internal readonly record struct Packet
    {
        public ushort Family { get; init; }
        public XfrmAddress Saddr { get; init; }
        public XfrmAddress Daddr { get; init; }
        public byte Proto { get; init; }
        public ushort Sport { get; init; }
        public ushort Dport { get; init; }
        public uint Mark { get; init; }
        public int Oif { get; init; }
        public bool Fragment { get; init; }
        public bool GreKey { get; init; }

        public Flow Flow
        {
            get
            {
                bool ports = !Fragment && (Proto is 6 or 17 or 132 or 136 || (Proto == 47 && GreKey)
                    || Proto == (Family == AddressFamily.Inet ? IpProtocol.Icmp : IpProtocol.Icmpv6));
                return new Flow
                {
                    Family = Family,
                    Saddr = Saddr,
                    Daddr = Daddr,
                    Proto = Proto,
                    Sport = ports ? Sport : (ushort)0,
                    Dport = ports ? Dport : (ushort)0,
                    Mark = Mark,
                    Oif = Oif,
                };
            }
        }
    }
}
