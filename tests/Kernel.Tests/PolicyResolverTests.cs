namespace Xfrmd.Kernel.Tests;

/// <summary>From a flow to its SAs: <c>xfrm_lookup</c>, <c>xfrm_tmpl_resolve</c>.</summary>
public sealed class PolicyResolverTests
{
    private const string Left = "192.0.2.1", Right = "192.0.2.2";
    private static readonly Flow Inner = TestSpace.Flow("10.1.0.1", "10.2.0.1");
    private static readonly XfrmSelector Covering = TestSpace.Selector("10.1.0.0", 16, "10.2.0.0", 16);

    [Fact]
    public void A_template_of_level_use_asks_for_an_SA_and_does_without()
    {
        using TestSpace test = new();
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1, PolicyDirection.Out, TestSpace.Template(Left, Right, optional: true)), exclusive: true);
        Assert.Equal(OutboundAction.Bypass, test.Space.Resolver.Resolve(Inner).Action);
        test.Space.RunPending();
        Assert.Single(test.Manager.Acquires);
        // What is being negotiated is not asked for again, and still does without.
        Assert.Equal(OutboundAction.Bypass, test.Space.Resolver.Resolve(Inner).Action);
        test.Space.RunPending();
        Assert.Single(test.Manager.Acquires);

        SecurityAssociation sa = TestSpace.Sa(Left, Right, 0x1001);
        test.Space.Sad.Insert(sa);
        OutboundDecision decision = test.Space.Resolver.Resolve(Inner);
        Assert.Equal((OutboundAction.Transform, 1), (decision.Action, decision.Sas.Length));
        Assert.Same(sa, decision.Sas[0]);
    }

    [Fact]
    public void Of_several_templates_the_required_one_decides()
    {
        using TestSpace test = new();
        PolicyTemplate comp = TestSpace.Template(Left, Right, optional: true), esp = TestSpace.Template(Left, Right, reqid: 2, mode: XfrmMode.Transport);
        comp.Id.Proto = IpProtocol.Comp;
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1, PolicyDirection.Out, comp, esp), exclusive: true);
        OutboundDecision decision = test.Space.Resolver.Resolve(Inner);
        Assert.Equal((OutboundAction.Pending, XfrmCounter.OutNoStates), (decision.Action, decision.Counter));
    }

    /// <summary><c>xfrm_state_sort</c>: over IPv6 transport mode comes before tunnels, whichever policy asks for it; over IPv4 the sub policy's comes first.</summary>
    [Theory]
    [InlineData("2001:db8:1::1", "2001:db8:2::1", new uint[] { 2, 1 })]
    [InlineData("10.1.0.1", "10.2.0.1", new uint[] { 1, 2 })]
    public void What_two_policies_ask_for_is_sorted_for_IPv6(string from, string to, uint[] order)
    {
        using TestSpace test = new();
        Flow flow = TestSpace.Flow(from, to);
        XfrmSelector all = new() { Family = flow.Family };
        PolicyTemplate tunnel = TestSpace.Template(Left, Right, reqid: 1), transport = TestSpace.Template("0.0.0.0", "0.0.0.0", reqid: 2, mode: XfrmMode.Transport);
        transport.Family = flow.Family;
        test.Space.Spd.Insert(new Policy { Selector = all, Direction = PolicyDirection.Out, Type = PolicyType.Sub, TemplateArray = [tunnel] }, exclusive: true);
        test.Space.Spd.Insert(new Policy { Selector = all, Direction = PolicyDirection.Out, TemplateArray = [transport] }, exclusive: true);
        test.Space.Sad.Insert(TestSpace.Sa(Left, Right, 1, reqid: 1));
        SecurityAssociation host = TestSpace.Sa(from, to, 2, reqid: 2, mode: XfrmMode.Transport);
        host.Family = flow.Family;
        test.Space.Sad.Insert(host);
        OutboundDecision decision = test.Space.Resolver.Resolve(flow);
        Assert.Equal(OutboundAction.Transform, decision.Action);
        Assert.Equal(order, decision.Sas.Select(sa => sa.Reqid));
    }

    [Fact]
    public void Six_templates_are_too_many_for_a_packet()
    {
        using TestSpace test = new();
        PolicyTemplate[] templates = [.. Enumerable.Range(1, 6).Select(i => TestSpace.Template(Left, Right, reqid: (uint)i, optional: true))];
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1, PolicyDirection.Out, templates), exclusive: true);
        OutboundDecision decision = test.Space.Resolver.Resolve(Inner);
        Assert.Equal((OutboundAction.Drop, Errno.ENOBUFS, XfrmCounter.OutPolError), (decision.Action, decision.Errno, decision.Counter));
        test.Space.RunPending();
        Assert.Empty(test.Manager.Acquires);
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1, PolicyDirection.Out, templates[1..]), exclusive: false);
        Assert.Equal(OutboundAction.Bypass, test.Space.Resolver.Resolve(Inner).Action);
        test.Space.RunPending();
        Assert.Equal(5, test.Manager.Acquires.Count);
    }

    /// <summary><c>xfrm_init_tempstate</c>, and the hash of <c>xfrm_state_find</c>.</summary>
    [Fact]
    public void A_transport_template_that_names_other_ends_is_asked_for_with_them_and_for_each_packet()
    {
        using TestSpace test = new();
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1, PolicyDirection.Out, TestSpace.Template(Left, Right, mode: XfrmMode.Transport)), exclusive: true);
        for (int packet = 1; packet <= 2; packet++)
        {
            Assert.Equal(OutboundAction.Pending, test.Space.Resolver.Resolve(Inner).Action);
            test.Space.RunPending();
            Assert.Equal(packet, test.Manager.Acquires.Count);
            Assert.Equal((XfrmAddress.Parse(Left), XfrmAddress.Parse(Right)), (test.Manager.Acquires[^1].Saddr, test.Manager.Acquires[^1].Id.Daddr));
        }
        SecurityAssociation[] larval = [.. test.Space.Sad.All];
        Assert.Equal(2, larval.Length);
        Assert.All(larval, sa => Assert.True(test.Space.Sad.Delete(sa)));
        Assert.Empty(test.Space.Sad.All);
    }

    /// <summary>XFRM_POLICY_CPU_ACQUIRE: the packet that makes a CPU ask for its own SA still takes the one for all, those behind it wait.</summary>
    [Fact]
    public void A_CPU_that_asks_for_its_own_SA_waits_for_it()
    {
        using TestSpace test = new();
        Policy policy = TestSpace.Policy(Covering, 1, PolicyDirection.Out, TestSpace.Template(Left, Right));
        policy = new() { Selector = policy.Selector, Direction = policy.Direction, TemplateArray = policy.TemplateArray, Flags = PolicyFlags.CpuAcquire };
        test.Space.Spd.Insert(policy, exclusive: true);
        SecurityAssociation shared = TestSpace.Sa(Left, Right, 1), own = TestSpace.Sa(Left, Right, 2);
        test.Space.Sad.Insert(shared);
        Assert.Same(shared, Assert.Single(test.Space.Resolver.Resolve(Inner, cpu: 3).Sas));
        test.Space.RunPending();
        Assert.Equal(3u, Assert.Single(test.Manager.Acquires).Pcpu);
        Assert.Equal((OutboundAction.Pending, XfrmCounter.OutNoStates), (test.Space.Resolver.Resolve(Inner, cpu: 3).Action, test.Space.Resolver.Resolve(Inner, cpu: 3).Counter));
        test.Space.RunPending();
        Assert.Single(test.Manager.Acquires);
        own.Pcpu = 3;
        test.Space.Sad.Insert(own);
        Assert.Same(own, Assert.Single(test.Space.Resolver.Resolve(Inner, cpu: 3).Sas));
    }

    [Fact]
    public void An_SA_that_has_just_expired_is_asked_for_again()
    {
        using TestSpace test = new();
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1, PolicyDirection.Out, TestSpace.Template(Left, Right)), exclusive: true);
        SecurityAssociation sa = TestSpace.Sa(Left, Right, 1);
        test.Space.Sad.Insert(sa);
        sa.State = SaState.Expired;
        test.Space.PostExpire(sa, hard: true);
        Assert.Equal(OutboundAction.Pending, test.Space.Resolver.Resolve(Inner).Action);
        test.Space.RunPending();
        Assert.Single(test.Manager.Acquires);
        Assert.True(Assert.Single(test.Manager.Events).Hard);
    }

    /// <summary>A packet that steering took by a policy without a mark has none that a policy before it asks for, not even 0.</summary>
    [Fact]
    public void A_packet_is_of_the_policy_by_which_steering_took_it()
    {
        using TestSpace test = new();
        Policy marked = new() { Selector = Covering, Direction = PolicyDirection.Out, Priority = 1, Mark = new XfrmMark(0, 0xff) };
        Policy any = TestSpace.Policy(Covering, 2);
        test.Space.Spd.Insert(marked, exclusive: true);
        test.Space.Spd.Insert(any, exclusive: true);
        Assert.Same(marked, test.Space.Resolver.Resolve(Inner).Policy);
        Assert.Same(marked, test.Space.Resolver.Resolve(Inner, steeredBy: marked.Mark).Policy);
        Assert.Same(any, test.Space.Resolver.Resolve(Inner, steeredBy: default(XfrmMark)).Policy);
        test.Space.Spd.Delete(any);
        Assert.Same(marked, test.Space.Resolver.Resolve(Inner, steeredBy: default(XfrmMark)).Policy);
    }

    [Fact]
    public void A_sockets_own_policy_goes_before_all_where_it_matches_and_counts_nothing_without_an_SA()
    {
        using TestSpace test = new();
        Policy any = TestSpace.Policy(Covering, 1);
        test.Space.Spd.Insert(any, exclusive: true);
        Policy own = new()
        {
            Selector = Covering,
            Direction = PolicyDirection.Out,
            TemplateArray = [TestSpace.Template("192.0.2.1", "192.0.2.2")],
            IsSocketPolicy = true,
        };
        OutboundDecision decision = test.Space.Resolver.Resolve(Inner, ofSocket: own);
        Assert.Equal((own, OutboundAction.Pending, null), (decision.Policy, decision.Action, decision.Counter));
        test.Space.Sad.Insert(TestSpace.Sa("192.0.2.1", "192.0.2.2", 1));
        decision = test.Space.Resolver.Resolve(Inner, ofSocket: own);
        Assert.Equal((own, OutboundAction.Transform), (decision.Policy, decision.Action));
        Assert.Same(any, test.Space.Resolver.Resolve(Inner, ofSocket: TestSpace.Policy(TestSpace.Selector("10.9.0.0", 16, "10.2.0.0", 16), 1)).Policy);
    }

    [Fact]
    public void An_IKE_daemons_policy_lets_all_pass_and_a_narrower_one_does_not()
    {
        XfrmSelector all = new() { Family = AddressFamily.Inet };
        Assert.True(TestSpace.Policy(all, 0).LetsAllPass);
        Assert.True(TestSpace.Policy(default, 0, PolicyDirection.In).LetsAllPass);
        Assert.False(TestSpace.Policy(all with { SportMask = Be16.From(0xFFFF) }, 0).LetsAllPass);
        Assert.False(TestSpace.Policy(all with { PrefixlenD = 1 }, 0).LetsAllPass);
        Assert.False(TestSpace.Policy(all, 0, PolicyDirection.Out, TestSpace.Template("192.0.2.1", "192.0.2.2")).LetsAllPass);
        Assert.False(new Policy { Selector = all, Direction = PolicyDirection.Out, Action = PolicyAction.Block }.LetsAllPass);
    }

    [Fact]
    public void Two_policies_are_alike_where_they_do_the_same()
    {
        Policy With(uint reqid, ushort family = 0) => new()
        {
            Selector = Covering,
            Family = family,
            Direction = PolicyDirection.Out,
            TemplateArray = [TestSpace.Template("192.0.2.1", "192.0.2.2", reqid)],
        };
        Assert.True(Policy.AreAlike(With(1), With(1)));
        Assert.True(Policy.AreAlike(null, null));
        Assert.False(Policy.AreAlike(With(1), null));
        Assert.False(Policy.AreAlike(With(1), With(2)));
        Assert.False(Policy.AreAlike(With(1), With(1, AddressFamily.Inet6)));
        Assert.False(Policy.AreAlike(With(1), TestSpace.Policy(Covering, 0)));
    }

    [Fact]
    public void The_default_policy_may_block_and_counts_nothing()
    {
        using TestSpace test = new();
        Assert.Equal(OutboundAction.Bypass, test.Space.Resolver.Resolve(Inner).Action);
        test.Space.Spd.SetDefault(PolicyDirection.Out, PolicyAction.Block);
        OutboundDecision decision = test.Space.Resolver.Resolve(Inner);
        Assert.Equal((OutboundAction.Drop, Errno.EPERM, null), (decision.Action, decision.Errno, decision.Counter));
        // A policy that asks for nothing is a policy.
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1), exclusive: true);
        Assert.Equal(OutboundAction.Bypass, test.Space.Resolver.Resolve(Inner).Action);
    }
}
