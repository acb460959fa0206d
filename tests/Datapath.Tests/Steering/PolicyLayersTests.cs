using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;
using Packet = Xfrmd.Datapath.Tests.Steering.ModelRuleTable.Packet;

namespace Xfrmd.Datapath.Tests.Steering;

public sealed class PolicyLayersTests
{
    private readonly ModelRuleTable _table = new();
    private readonly PolicyLayers _layers;
    private readonly List<Policy> _spd = [];
    private ulong _position;

    public PolicyLayersTests() => _layers = new PolicyLayers(_table, VerdictOf, 0x00FFFFFF);

    [Fact]
    public void Ten_thousand_tunnels_are_one_rule()
    {
        for (int i = 0; i < 10_000; i++)
        {
            Add(Policies.Out("10.0.0.0/16", $"10.{1 + (i / 256)}.{i % 256}.0/24", priority: (uint)(1000 + (i % 7))));
        }
        Assert.Equal(1, _table.RuleCount);
        Assert.Equal(10_001, _table.Changes);
    }

    [Fact]
    public void One_policy_of_another_verdict_among_thousands_touches_nothing_else()
    {
        for (int i = 0; i < 1000; i++)
        {
            Add(Policies.Out("10.0.0.0/16", $"10.{1 + (i / 256)}.{i % 256}.0/24", priority: 100));
        }
        int before = _table.Changes;
        Policy blocked = Add(Policies.Out("10.0.0.0/16", "10.1.7.0/24", priority: 99, action: PolicyAction.Block));
        Assert.Equal(2, _table.Changes - before);
        Agree();
        Remove(blocked);
        Assert.Equal(3, _table.Changes - before);
        Agree();
    }

    [Fact]
    public void A_policy_that_splits_others_moves_only_what_it_overlaps()
    {
        Add(Policies.Out("10.0.0.0/8", "10.0.0.0/8", priority: 30));
        Add(Policies.Out("10.1.0.0/16", "10.2.0.0/16", priority: 10));
        Add(Policies.Out("10.1.1.0/24", "10.2.0.0/16", priority: 20, action: PolicyAction.Block));
        Add(Policies.Out("10.1.1.0/24", "10.2.0.0/16", priority: 5, protect: false));
        Agree();
        Assert.Equal(SteeringAction.Bypass, _table.Evaluate(Tcp("10.1.1.1", "10.2.0.1"))!.Value.Action);
        Assert.Equal(SteeringAction.Protect, _table.Evaluate(Tcp("10.9.1.1", "10.2.0.1"))!.Value.Action);
        Assert.Null(_table.Evaluate(Tcp("11.9.1.1", "10.2.0.1")));
    }

    [Fact]
    public void Replacing_a_policy_by_one_with_the_same_selector_and_verdict_changes_no_rule()
    {
        Policy old = Add(Policies.Out("10.1.0.0/16", "10.2.0.0/16"));
        int before = _table.Changes;
        Policy fresh = Policies.Out("10.1.0.0/16", "10.2.0.0/16");
        fresh.Position = ++_position;
        _layers.Replace(old, fresh);
        Assert.Equal(before, _table.Changes);
        Assert.Equal(1, _layers.PolicyCount);
    }

    [Fact]
    public void A_rule_that_loses_all_its_policies_at_once_goes_as_a_whole()
    {
        Policy other = Add(Policies.Out("10.1.0.0/16", "10.9.0.0/16", action: PolicyAction.Block));
        Policy[] many = [.. Enumerable.Range(0, 1000).Select(i => Add(Policies.Out("10.1.0.0/16", $"10.2.{i / 256}.{i % 256}/32")))];
        int before = _table.Changes;
        _layers.Remove([.. many[..10], many[10]]);
        Assert.Equal(11, _table.Changes - before);
        _layers.Remove(many);
        Assert.Equal(12, _table.Changes - before);
        Assert.Equal((1, 1, 1), (_table.RuleCount, _layers.LayerCount, _layers.PolicyCount));
        _layers.Remove(other);
        Assert.Equal(0, _table.RuleCount);
    }

    [Theory]
    [InlineData("10.1.0.0/16", "10.2.1.0/24")]     // of one list with the other: a replacement keeps its place
    [InlineData("10.1.0.1/32", "10.2.1.1/32")]     // of another list: a replacement is the younger of the two
    public void A_policy_that_replaces_one_of_its_priority_stands_where_the_database_has_it(string source, string destination)
    {
        using XfrmNamespace space = new(1, TimeProvider.System);
        void Insert(Policy policy)
        {
            Policy? replaced = space.Spd.Get(policy.Type, policy.Direction, policy.Selector, policy.Mark, policy.IfId);
            Assert.True(space.Spd.Insert(policy, exclusive: false).IsOk);
            if (replaced is null)
            {
                _layers.Insert(policy);
            }
            else
            {
                _layers.Replace(replaced, policy);
            }
            foreach (string host in (ReadOnlySpan<string>)["10.1.0.1", "10.1.0.2"])
            {
                Packet packet = Tcp(host, "10.2.1.1");
                Policy? winner = space.Spd.Find(packet.Flow, PolicyDirection.Out);
                Assert.Equal(winner is null ? null : VerdictOf(winner), _table.Evaluate(packet));
            }
        }
        Insert(Policies.Out("10.1.0.0/16", "10.2.0.0/16"));
        Insert(Policies.Out(source, destination, action: PolicyAction.Block));
        Insert(Policies.Out("10.1.0.0/16", "10.2.0.0/16", protect: false));
        Insert(Policies.Out("10.1.0.0/16", "10.2.0.0/16"));
        Insert(Policies.Out(source, destination, protect: false));
    }

    [Fact]
    public void Policies_that_go_round_in_a_circle_end_somewhere()
    {
        using XfrmNamespace space = new(1, TimeProvider.System);
        Policy[] circle =
        [
            Policies.Out("10.1.0.0/16", "10.2.0.0/16"),
            Policies.Out("10.1.0.0/16", "10.2.1.0/24", action: PolicyAction.Block),
            Policies.Out("10.1.0.1/32", "10.2.1.1/32", protect: false),
            Policies.Out("10.1.0.0/16", "10.2.0.0/16"),
        ];
        foreach (Policy policy in circle)
        {
            Assert.True(space.Spd.Insert(policy, exclusive: false).IsOk);
        }
        Assert.True(PolicyOrder.Compare(circle[3], circle[1]) < 0 && PolicyOrder.Compare(circle[1], circle[2]) < 0 && PolicyOrder.Compare(circle[2], circle[3]) < 0);
        foreach (Policy policy in circle[1..])
        {
            _layers.Insert(policy);
        }
        Assert.Equal(3, _layers.PolicyCount);
        _layers.Remove(circle[1..]);
        Assert.Equal(0, _table.RuleCount);
    }

    [Theory]
    [InlineData(6, 80, false, true)]
    [InlineData(6, 81, false, false)]
    [InlineData(17, 80, false, false)]
    [InlineData(6, 80, true, false)]    // a fragment has no ports for Linux
    public void A_port_selector_sees_ports_of_whole_packets_only(byte proto, ushort dport, bool fragment, bool covered)
    {
        Add(Policies.Out("0.0.0.0/0", "0.0.0.0/0", proto: 6, dport: (80, 0xFFFF)));
        Assert.Equal(covered, _table.Evaluate(Tcp("1.2.3.4", "5.6.7.8") with { Proto = proto, Dport = dport, Fragment = fragment }) is not null);
        Agree();
    }

    [Fact]
    public void Random_databases_decide_as_the_ordered_list_does()
    {
        Random random = new(20240614);
        for (int round = 0; round < 60; round++)
        {
            for (int step = 0; step < 120; step++)
            {
                int what = random.Next(10);
                if (what < 6 || _spd.Count == 0)
                {
                    Add(RandomPolicy(random));
                }
                else if (what < 8)
                {
                    Remove(_spd[random.Next(_spd.Count)]);
                }
                else
                {
                    Policy old = _spd[random.Next(_spd.Count)], fresh = RandomPolicy(random);
                    fresh.Position = ++_position;
                    _layers.Replace(old, fresh);
                    _spd.Remove(old);
                    _spd.Add(fresh);
                }
            }
            for (int i = 0; i < 300; i++)
            {
                AgreeOn(RandomPacket(random));
            }
            while (_spd.Count > 20)
            {
                Remove(_spd[random.Next(_spd.Count)]);
            }
        }
        while (_spd.Count > 0)
        {
            Remove(_spd[0]);
        }
        Assert.Equal(0, _table.RuleCount);
        Assert.Equal(0, _layers.LayerCount);
    }

    private static Packet Tcp(string source, string destination) =>
        new() { Family = AddressFamily.Inet, Saddr = XfrmAddress.Parse(source), Daddr = XfrmAddress.Parse(destination), Proto = 6, Sport = 1000, Dport = 80 };

    private static SteeringVerdict? VerdictOf(Policy policy) => policy switch
    {
        { Action: PolicyAction.Block } => new SteeringVerdict(SteeringAction.Block),
        { TemplateArray.Length: 0 } => new SteeringVerdict(SteeringAction.Bypass),
        _ => new SteeringVerdict(SteeringAction.Protect, policy.Mark.V != 0 ? 1 : 0),
    };

    private static Policy RandomPolicy(Random random)
    {
        bool ipv6 = random.Next(3) == 0;
        byte[] protocols = [0, 0, 0, 6, 17, 1, 58, 47, 50];
        (ushort, ushort)[] ports = [(0, 0), (0, 0), (80, 0xFFFF), (0, 0xFC00), (8, 0xFFFF), (0x0100, 0xFF00), (0, 0xFFFF)];
        return Policies.Out(
            Network(random, ipv6), Network(random, ipv6), (uint)random.Next(6), protocols[random.Next(protocols.Length)],
            ports[random.Next(ports.Length)], ports[random.Next(ports.Length)], random.Next(3) != 0,
            random.Next(4) == 0 ? PolicyAction.Block : PolicyAction.Allow,
            random.Next(5) == 0 ? new XfrmMark(1, 3) : default, random.Next(6) == 0 ? 7 : 0);
    }

    private static string Network(Random random, bool ipv6)
    {
        int last = random.Next(4);
        return ipv6
            ? $"2001:db8::{last}/{new[] { 0, 64, 126, 127, 128 }[random.Next(5)]}"
            : $"10.0.0.{last}/{new[] { 0, 8, 30, 31, 32 }[random.Next(5)]}";
    }

    private static Packet RandomPacket(Random random)
    {
        bool ipv6 = random.Next(3) == 0;
        byte[] protocols = [6, 17, 1, 58, 47, 50, 132, 89];
        ushort[] ports = [0, 80, 8, 500, 1023, 1024];
        byte proto = protocols[random.Next(protocols.Length)];
        ushort Port() => proto is 1 or 58 ? (ushort)(random.Next(3) * 4) : ports[random.Next(ports.Length)];
        string Address() => ipv6 ? $"2001:db8::{random.Next(4)}" : $"10.0.0.{random.Next(4)}";
        return new Packet
        {
            Family = ipv6 ? AddressFamily.Inet6 : AddressFamily.Inet,
            Saddr = XfrmAddress.Parse(Address()),
            Daddr = XfrmAddress.Parse(Address()),
            Proto = proto,
            Sport = Port(),
            Dport = Port(),
            Mark = (uint)random.Next(4),
            Oif = 6 + random.Next(2),
            Fragment = random.Next(6) == 0,
            GreKey = random.Next(2) == 0,
        };
    }

    private Policy Add(Policy policy)
    {
        policy.Position = ++_position;
        _spd.Add(policy);
        _layers.Insert(policy);
        return policy;
    }

    private void Remove(Policy policy)
    {
        _spd.Remove(policy);
        _layers.Remove(policy);
    }

    private void Agree()
    {
        foreach (Policy policy in _spd)
        {
            foreach (bool fragment in new[] { false, true })
            {
                AgreeOn(new Packet
                {
                    Family = policy.Selector.Family,
                    Saddr = policy.Selector.Saddr,
                    Daddr = policy.Selector.Daddr,
                    Proto = policy.Selector.Proto == 0 ? (byte)6 : policy.Selector.Proto,
                    Sport = policy.Selector.Sport.Value,
                    Dport = policy.Selector.Dport.Value,
                    Fragment = fragment,
                });
            }
        }
    }

    private void AgreeOn(Packet packet)
    {
        Flow flow = packet.Flow;
        Policy? first = _spd.Where(p => p.Matches(flow)).Order(PolicyOrder.Comparer).FirstOrDefault();
        Assert.Equal(first is null ? null : VerdictOf(first), _table.Evaluate(packet));
    }
}
