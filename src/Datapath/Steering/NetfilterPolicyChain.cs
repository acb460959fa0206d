using System.Globalization;
using Xfrmd.Kernel;
using Xfrmd.Linux;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// Writes the planner's rules into a transaction of nf_tables. Chains that show the same policies by the same rules (what this host sends, what it
/// forwards, and ICMP errors about either) share the sets behind them, and so are one to the planner.
/// </summary>
/// <param name="batch">The transaction.</param>
/// <param name="marks">Numbers.</param>
/// <param name="chains">The chains; the sets are named after the first.</param>
internal sealed class NetfilterPolicyChain(NetfilterBatch batch, SteeringMarks marks, params NetfilterPolicyChain.Place[] chains) : IRuleTable
{
    /// <summary>The set of protocols that have ports; made with the table.</summary>
    public const string PortedSet = "ported";

    private const int Scratch = 15, IcmpHeader = 8, Ipv4Header = 20, Ipv6Header = 40;
    private const byte FragmentHeader = 44;
    private static readonly byte[] NonZeroFragment = [0x3F, 0xFF], GreKeyAndChecksum = [0xA0, 0x00], GreKey = [0x20, 0x00];
    private readonly Dictionary<uint, (RuleGroup Group, int Chain)> _pending = [];
    private int _sets;

    /// <param name="batch">The transaction.</param>
    /// <param name="marks">Numbers.</param>
    /// <param name="type">Whose rules: sub policies have chains of their own, before those of the main policies.</param>
    /// <param name="kinds">Where they stand.</param>
    public NetfilterPolicyChain(NetfilterBatch batch, SteeringMarks marks, PolicyType type, params PolicyChainKind[] kinds)
        : this(batch, marks, Array.ConvertAll(kinds, kind => new Place(NameOf(kind, type), kind, type == PolicyType.Main || IsOfErrors(kind) ? null : AllowedBySub(kind))))
    {
    }

    /// <summary>The first chain's name.</summary>
    public string Name => chains[0].Chain;

    public static string NameOf(PolicyChainKind kind, PolicyType type) => type == PolicyType.Main ? NameOf(kind) : NameOf(kind) + "-sub";

    /// <summary>Where a packet goes on that a sub policy allows without templates: main policies may ask for some (xfrm_expand_policies, __xfrm_policy_check).</summary>
    public static string AllowedBySub(PolicyChainKind kind) => NameOf(kind) + "-allowed-by-sub";

    private static string NameOf(PolicyChainKind kind) => kind switch
    {
        PolicyChainKind.Out => "out",
        PolicyChainKind.OutForwarded => "out-forwarded",
        PolicyChainKind.OutErrors => "out-errors",
        PolicyChainKind.In => "in",
        PolicyChainKind.Fwd => "fwd",
        _ => "fwd-errors",
    };

    /// <summary>A chain that looks at the packet behind an ICMP header, turned round (<c>xfrm_decode_session_reverse</c>), in place of the one that carries it.</summary>
    public static bool IsOfErrors(PolicyChainKind kind) => kind is PolicyChainKind.OutErrors or PolicyChainKind.FwdErrors;

    public void AddGroup(RuleGroup group, RuleGroup? behind)
    {
        SelectorShape shape = group.Shape;
        if (shape.KeyLength > 0)
        {
            group.SetName = string.Create(CultureInfo.InvariantCulture, $"{Name}{++_sets}");
            batch.AddSet(group.SetName, (uint)_sets, shape.SetKeyLength, KeyType(shape), shape is { KeyLength: 4 } and ({ MarkMask: not 0 } or { Interface: true }));
        }
        group.Rules = new RuleGroup.Rule[chains.Length];
        for (int chain = 0; chain < chains.Length; chain++)
        {
            NetfilterRulePlace place = behind is null
                ? NetfilterRulePlace.First
                : NetfilterRulePlace.Behind(behind.Rules[chain].Handle, behind.Rules[chain].Id);
            uint id = batch.BeginRule(chains[chain].Chain, place);
            group.Rules[chain] = new RuleGroup.Rule(id, 0);
            _pending[id] = (group, chain);
            WriteMatch(shape, group.SetName, chains[chain].Kind);
            WriteVerdict(group.Verdict, chains[chain]);
            batch.EndRule();
        }
    }

    public void RemoveGroup(RuleGroup group)
    {
        for (int chain = 0; chain < chains.Length; chain++)
        {
            batch.DeleteRule(chains[chain].Chain, group.Rules[chain].Handle, group.Rules[chain].Id);
        }
        if (group.SetName.Length > 0)
        {
            batch.DeleteSet(group.SetName);
        }
    }

    public void AddKey(RuleGroup group, SelectorKey key)
    {
        if (group.SetName.Length > 0)
        {
            batch.AddElement(group.SetName, key.Bytes[..group.SetKeyLength]);
        }
    }

    public void RemoveKey(RuleGroup group, SelectorKey key)
    {
        if (group.SetName.Length > 0)
        {
            batch.DeleteElement(group.SetName, key.Bytes[..group.SetKeyLength]);
        }
    }

    /// <summary>Takes a handle from the kernel's echo; false where the rule is not of this chain.</summary>
    public bool TakeHandle(uint id, ulong handle)
    {
        if (!_pending.Remove(id, out (RuleGroup Group, int Chain) rule))
        {
            return false;
        }
        rule.Group.Rules[rule.Chain] = new RuleGroup.Rule(id, handle);
        return true;
    }

    private void WriteMatch(in SelectorShape shape, string set, PolicyChainKind kind)
    {
        bool ipv4 = shape.Family == AddressFamily.Inet;
        batch.LoadMeta(Scratch, NetfilterMeta.Family);
        batch.Compare(Scratch, [(byte)(ipv4 ? AddressFamily.Inet : AddressFamily.Inet6)]);
        Fields fields = new(batch, ipv4, IsOfErrors(kind));
        if (shape.Kind != PortKind.None)
        {
            WriteFragmentTest(fields, fragment: shape.Kind == PortKind.Fragment);
        }
        switch (shape.Kind)
        {
            case PortKind.Portless:
                fields.LoadProtocol(Scratch);
                batch.Lookup(Scratch, PortedSet, present: false);
                break;
            case PortKind.GreKey or PortKind.GreKeyAfterChecksum:
                fields.LoadUpper(Scratch, 0, 2);
                batch.Mask(Scratch, GreKeyAndChecksum);
                batch.Compare(Scratch, shape.Kind == PortKind.GreKey ? GreKey : GreKeyAndChecksum);
                break;
            case PortKind.GreWithoutKey:
                fields.LoadUpper(Scratch, 0, 2);
                batch.Mask(Scratch, GreKey);
                batch.Compare(Scratch, [0, 0]);
                break;
        }
        WriteKey(shape, fields, kind);
        if (set.Length > 0)
        {
            batch.Lookup(0, set);
        }
    }

    /// <summary>Linux reads no ports from any fragment, be it the first (<c>ip_is_fragment</c>; NEXTHDR_FRAGMENT sets onlyproto).</summary>
    private void WriteFragmentTest(in Fields fields, bool fragment)
    {
        if (fields.IsIpv4)
        {
            fields.LoadNetwork(Scratch, 6, 2);
            batch.Mask(Scratch, NonZeroFragment);
            batch.Compare(Scratch, [0, 0], equal: !fragment);
        }
        else if (fields.AreQuoted)
        {
            fields.LoadProtocol(Scratch);
            batch.Compare(Scratch, [FragmentHeader], equal: fragment);
        }
        else
        {
            batch.LoadExtensionHeaderPresence(Scratch, FragmentHeader);
            batch.Compare(Scratch, [(byte)(fragment ? 1 : 0)]);
        }
    }

    /// <summary>Loads the fields one behind the other into the registers from 0 on: the key of the set.</summary>
    private void WriteKey(in SelectorShape shape, in Fields fields, PolicyChainKind kind)
    {
        int register = 0, saddr = fields.IsIpv4 ? 12 : 8, daddr = fields.IsIpv4 ? 16 : 24;
        if (shape.PrefixS > 0)
        {
            register = WriteAddress(register, fields, fields.AreQuoted ? daddr : saddr, shape.AddressLength, shape.PrefixS);
        }
        if (shape.PrefixD > 0)
        {
            register = WriteAddress(register, fields, fields.AreQuoted ? saddr : daddr, shape.AddressLength, shape.PrefixD);
        }
        if (shape.Protocol)
        {
            fields.LoadProtocol(register++);
        }
        if (shape.HasSport)
        {
            WritePort(register++, fields, shape, source: true, shape.SportMask);
        }
        if (shape.HasDport)
        {
            WritePort(register++, fields, shape, source: false, shape.DportMask);
        }
        if (shape.MarkMask != 0)
        {
            batch.LoadMeta(register, NetfilterMeta.Mark);
            batch.Mask(register++, shape.MarkMask);
        }
        if (shape.Interface)
        {
            WriteInterface(register, kind);
        }
    }

    private int WriteAddress(int register, in Fields fields, int offset, int length, int prefix)
    {
        fields.LoadNetwork(register, offset, length);
        if (prefix < length * 8)
        {
            Span<byte> mask = stackalloc byte[16];
            mask.Clear();
            mask[..(prefix / 8)].Fill(0xFF);
            if (prefix % 8 != 0)
            {
                mask[prefix / 8] = (byte)(0xFF00 >> (prefix % 8));
            }
            batch.Mask(register, mask[..length]);
        }
        return register + (length / 4);
    }

    private void WritePort(int register, in Fields fields, in SelectorShape shape, bool source, ushort mask)
    {
        if (shape.Kind == PortKind.IcmpType)
        {
            fields.LoadUpper(register, source ? 0 : 1, 1);
            if (mask != 0xFF)
            {
                batch.Mask(register, [(byte)mask]);
            }
            return;
        }
        int field = shape.Kind switch
        {
            PortKind.GreKey => 4,
            PortKind.GreKeyAfterChecksum => 8,
            _ => 0,
        };
        bool first = source != (fields.AreQuoted && shape.Kind == PortKind.Ports);   // no other fields are turned round (decode_session4)
        fields.LoadUpper(register, field + (first ? 0 : 2), 2);
        if (mask != ushort.MaxValue)
        {
            batch.Mask(register, [(byte)(mask >> 8), (byte)mask]);
        }
    }

    /// <summary>The interface that the packet leaves by, as <c>flowi_oif</c>: known in a hook behind routing, asked of routing before it.</summary>
    private void WriteInterface(int register, PolicyChainKind kind)
    {
        switch (kind)
        {
            case PolicyChainKind.OutForwarded or PolicyChainKind.Fwd or PolicyChainKind.FwdErrors:
                batch.LoadRoute(register, addressType: false);
                break;
            case PolicyChainKind.In:
                batch.LoadMeta(register, NetfilterMeta.InputIndex);
                break;
            default:
                batch.LoadMeta(register, NetfilterMeta.OutputIndex);
                break;
        }
    }

    private void WriteVerdict(SteeringVerdict verdict, in Place place)
    {
        switch (verdict.Action)
        {
            case not SteeringAction.Protect when place.Kind == PolicyChainKind.OutErrors:
                batch.Return();
                break;
            case SteeringAction.Protect:
                batch.LoadMeta(0, NetfilterMeta.Mark);
                batch.Mask(0, ~(marks.ClassMask | marks.Steer), marks.Class(verdict.DeviceClass) | marks.Steer);
                batch.StoreMark(0);
                batch.Accept();
                break;
            case SteeringAction.Bypass when place.WhereAllowed is { } next:
                batch.Goto(next);
                break;
            case SteeringAction.Bypass:
                batch.Accept();
                break;
            case SteeringAction.Block:
                batch.Jump((chains[0].Kind == PolicyChainKind.Out ? NetfilterDropChain.OutBlock : NetfilterDropChain.InBlock).Name);
                break;
            case SteeringAction.Require:
                batch.Jump(NetfilterDropChain.Require.Name);
                break;
        }
    }

    /// <summary>The nft program's numbers of data types, six bits each: how it shows the set.</summary>
    private static uint KeyType(in SelectorShape shape)
    {
        const uint Ipv4Address = 7, Ipv6Address = 8, InetProtocol = 12, InetService = 13, IcmpType = 14, Mark = 19, InterfaceIndex = 20,
            Icmpv6Type = 29, IcmpCode = 32, Icmpv6Code = 33;
        (uint address, uint icmpType, uint icmpCode) =
            shape.Family == AddressFamily.Inet ? (Ipv4Address, IcmpType, IcmpCode) : (Ipv6Address, Icmpv6Type, Icmpv6Code);
        (uint source, uint destination) = shape.Kind == PortKind.IcmpType ? (icmpType, icmpCode) : (InetService, InetService);
        uint type = 0;
        foreach ((bool present, uint number) in (ReadOnlySpan<(bool, uint)>)
            [
                (shape.PrefixS > 0, address), (shape.PrefixD > 0, address), (shape.Protocol, InetProtocol), (shape.HasSport, source),
                (shape.HasDport, destination), (shape.MarkMask != 0, Mark), (shape.Interface, InterfaceIndex),
            ])
        {
            type = present ? (type << 6) | number : type;
        }
        return type;
    }

    /// <summary>A chain, where it stands, and where what is allowed without templates goes on; null: nowhere.</summary>
    public readonly record struct Place(string Chain, PolicyChainKind Kind, string? WhereAllowed);

    /// <summary>Where the fields of the packet are: at its own place, or quoted behind an ICMP header, without options or extension headers then.</summary>
    private readonly struct Fields(NetfilterBatch batch, bool ipv4, bool quoted)
    {
        public bool IsIpv4 => ipv4;

        public bool AreQuoted => quoted;

        public void LoadNetwork(int register, int offset, int length)
        {
            if (quoted)
            {
                batch.LoadTransport(register, IcmpHeader + offset, length);
            }
            else
            {
                batch.LoadNetwork(register, offset, length);
            }
        }

        public void LoadProtocol(int register)
        {
            if (quoted)
            {
                LoadNetwork(register, ipv4 ? 9 : 6, 1);
            }
            else
            {
                batch.LoadMeta(register, NetfilterMeta.L4Protocol);
            }
        }

        public void LoadUpper(int register, int offset, int length) =>
            batch.LoadTransport(register, (!quoted ? 0 : IcmpHeader + (ipv4 ? Ipv4Header : Ipv6Header)) + offset, length);
    }
}
