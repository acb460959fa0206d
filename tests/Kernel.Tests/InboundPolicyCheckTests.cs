namespace Xfrmd.Kernel.Tests;

public sealed class InboundPolicyCheckTests
{
    private const string Left = "192.0.2.1", Right = "192.0.2.2";
    private static readonly Flow Inner = TestSpace.Flow("10.1.0.1", "10.2.0.1");
    private static readonly XfrmSelector Covering = TestSpace.Selector("10.1.0.0", 16, "10.2.0.0", 16);

    private static XfrmCounter? Check(TestSpace test, params SecurityAssociation[] path)
    {
        bool allowed = Allows(test, Inner, PolicyDirection.In, path, null, out XfrmCounter? counter);
        Assert.Equal(allowed, counter is null);
        return counter;
    }

    private static bool Allows(TestSpace test, in Flow flow, PolicyDirection direction, SecurityAssociation[] path, Flow? embedded, out XfrmCounter? counter)
    {
        int verified = 0;
        return InboundPolicyCheck.Allows(test.Space, flow, direction, path, embedded, ref verified, out counter);
    }

    [Fact]
    public void Without_policy_plain_and_transport_pass_and_a_tunnel_does_not()
    {
        using TestSpace test = new();
        Assert.Null(Check(test));
        Assert.Null(Check(test, TestSpace.Sa(Left, Right, 1, mode: XfrmMode.Transport)));
        Assert.Equal(XfrmCounter.InNoPols, Check(test, TestSpace.Sa(Left, Right, 1)));
    }

    [Fact]
    public void A_sockets_own_policy_goes_before_all_where_it_matches()
    {
        using TestSpace test = new();
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1, PolicyDirection.In), exclusive: true);
        Policy own = TestSpace.Policy(Covering, 1, PolicyDirection.In, TestSpace.Template(Left, Right, reqid: 3));
        Policy others = TestSpace.Policy(TestSpace.Selector("10.9.0.0", 16, "10.2.0.0", 16), 1, PolicyDirection.In, TestSpace.Template(Left, Right, reqid: 3));
        int verified = 0;
        Assert.True(InboundPolicyCheck.Allows(test.Space, Inner, PolicyDirection.In, [], null, ref verified, out _));
        Assert.True(InboundPolicyCheck.Allows(test.Space, Inner, PolicyDirection.In, [], null, ref verified, out _, others));
        Assert.False(InboundPolicyCheck.Allows(test.Space, Inner, PolicyDirection.In, [], null, ref verified, out XfrmCounter? counter, own));
        Assert.Equal(XfrmCounter.InTmplMismatch, counter);
        Assert.True(InboundPolicyCheck.Allows(test.Space, Inner, PolicyDirection.In, [TestSpace.Sa(Left, Right, 1, reqid: 3)], null, ref verified, out _, own));
    }

    [Fact]
    public void The_SA_must_be_the_one_that_the_template_names()
    {
        using TestSpace test = new();
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1, PolicyDirection.In, TestSpace.Template(Left, Right, reqid: 3)), exclusive: true);
        Assert.Null(Check(test, TestSpace.Sa(Left, Right, 1, reqid: 3)));
        Assert.Equal(XfrmCounter.InTmplMismatch, Check(test, TestSpace.Sa(Left, Right, 1, reqid: 4)));
        Assert.Equal(XfrmCounter.InTmplMismatch, Check(test, TestSpace.Sa("192.0.2.9", Right, 1, reqid: 3)));
        Assert.Equal(XfrmCounter.InTmplMismatch, Check(test));
        Assert.Equal(XfrmCounter.InTmplMismatch, Check(test, TestSpace.Sa(Left, Right, 1, reqid: 3), TestSpace.Sa(Left, Right, 2, reqid: 3)));
    }

    /// <summary><c>xfrm_tmpl_sort</c>: over IPv6 the tunnel is the outer one, whichever policy asks for it; over IPv4 what the main policy asks for is.</summary>
    [Theory]
    [InlineData("2001:db8:1::1", "2001:db8:2::1", true)]
    [InlineData("10.1.0.1", "10.2.0.1", false)]
    public void What_two_policies_ask_for_is_sorted_for_IPv6(string from, string to, bool tunnelIsOuter)
    {
        using TestSpace test = new();
        Flow flow = TestSpace.Flow(from, to);
        XfrmSelector all = new() { Family = flow.Family };
        PolicyTemplate tunnel = TestSpace.Template(Left, Right, reqid: 1), transport = TestSpace.Template(from, to, reqid: 2, mode: XfrmMode.Transport);
        test.Space.Spd.Insert(new Policy { Selector = all, Direction = PolicyDirection.In, Type = PolicyType.Sub, TemplateArray = [tunnel] }, exclusive: true);
        test.Space.Spd.Insert(new Policy { Selector = all, Direction = PolicyDirection.In, TemplateArray = [transport] }, exclusive: true);
        SecurityAssociation outer = TestSpace.Sa(Left, Right, 1, reqid: 1), inner = TestSpace.Sa(from, to, 2, reqid: 2, mode: XfrmMode.Transport);
        Assert.Equal(tunnelIsOuter, Allows(test, flow, PolicyDirection.In, [outer, inner], null, out _));
        Assert.Equal(!tunnelIsOuter, Allows(test, flow, PolicyDirection.In, [inner, outer], null, out _));
    }

    [Fact]
    public void A_block_policy_and_an_SA_selector_refuse()
    {
        using TestSpace test = new();
        SecurityAssociation sa = TestSpace.Sa(Left, Right, 1);
        sa.Selector = TestSpace.Selector("10.9.0.0", 16, "10.2.0.0", 16);
        Assert.Equal(XfrmCounter.InStateMismatch, Check(test, sa));
        test.Space.Spd.Insert(new Policy { Selector = Covering, Direction = PolicyDirection.In, Action = PolicyAction.Block }, exclusive: true);
        Assert.Equal(XfrmCounter.InPolBlock, Check(test));
    }

    [Fact]
    public void Default_block_counts_whether_or_not_there_are_policies()
    {
        using TestSpace test = new();
        test.Space.Spd.SetDefault(PolicyDirection.In, PolicyAction.Block);
        Assert.Equal(XfrmCounter.InNoPols, Check(test));
        test.Space.Spd.Insert(TestSpace.Policy(TestSpace.Selector("10.7.0.0", 16, "10.2.0.0", 16), 1, PolicyDirection.In), exclusive: true);
        Assert.Equal(XfrmCounter.InNoPols, Check(test));
    }

    [Fact]
    public void An_optional_transport_template_may_be_missing()
    {
        using TestSpace test = new();
        PolicyTemplate comp = TestSpace.Template(Left, Right, mode: XfrmMode.Transport, optional: true);
        comp.Id.Proto = IpProtocol.Comp;
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1, PolicyDirection.In, comp, TestSpace.Template(Left, Right)), exclusive: true);
        Assert.Null(Check(test, TestSpace.Sa(Left, Right, 1)));
    }

    [Fact]
    public void An_optional_tunnel_template_takes_what_came_through_its_SA_and_what_came_in_clear()
    {
        using TestSpace test = new();
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1, PolicyDirection.In, TestSpace.Template(Left, Right, reqid: 3, optional: true)), exclusive: true);
        Assert.Null(Check(test));
        Assert.Null(Check(test, TestSpace.Sa(Left, Right, 1, reqid: 3)));
        Assert.Equal(XfrmCounter.InTmplMismatch, Check(test, TestSpace.Sa(Left, Right, 1, reqid: 4)));
    }

    [Fact]
    public void Default_block_is_of_each_direction_by_itself()
    {
        using TestSpace test = new();
        test.Space.Spd.SetDefault(PolicyDirection.Fwd, PolicyAction.Block);
        Assert.Null(Check(test));
        Assert.False(Allows(test, Inner, PolicyDirection.Fwd, [TestSpace.Sa(Left, Right, 1)], null, out XfrmCounter? counter));
        Assert.Equal(XfrmCounter.InNoPols, counter);
    }

    [Theory]
    [InlineData(SaFlags.Icmp, true)]
    [InlineData((SaFlags)0, false)]
    public void An_SA_with_the_icmp_flag_takes_errors_about_its_traffic(SaFlags flags, bool passes)
    {
        using TestSpace test = new();
        SecurityAssociation sa = TestSpace.Sa(Left, Right, 1, mode: XfrmMode.Transport);
        (sa.Selector, sa.Flags) = (Covering, flags);
        // From a router that the selector does not cover, about a packet that went the other way.
        Flow error = TestSpace.Flow("10.9.0.1", "10.2.0.1", IpProtocol.Icmp, 3, 1);
        Assert.Equal(passes, Allows(test, error, PolicyDirection.In, [sa], Inner, out XfrmCounter? counter));
        Assert.Equal(passes ? null : XfrmCounter.InStateMismatch, counter);
    }

    [Fact]
    public void An_error_on_its_way_is_judged_by_the_policy_of_what_it_is_about()
    {
        using TestSpace test = new();
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 1, PolicyDirection.Fwd, TestSpace.Template(Left, Right)), exclusive: true);
        Flow error = TestSpace.Flow("10.9.0.1", "10.2.0.1", IpProtocol.Icmp, 3, 1);
        Assert.True(Allows(test, error, PolicyDirection.Fwd, [TestSpace.Sa(Left, Right, 1)], Inner, out _));
        Assert.False(Allows(test, error, PolicyDirection.Fwd, [TestSpace.Sa(Left, Right, 1)], null, out XfrmCounter? counter));
        Assert.Equal(XfrmCounter.InNoPols, counter);
    }

    /// <summary>A tunnel in a tunnel, with a policy for each: what the first check found in order the second passes over (Linux 6.5, <c>verified_cnt</c>).</summary>
    [Fact]
    public void A_tunnel_may_lie_in_another_that_has_a_policy_of_its_own()
    {
        using TestSpace test = new();
        SecurityAssociation outer = TestSpace.Sa(Left, Right, 1, reqid: 1), inner = TestSpace.Sa("198.51.100.1", "198.51.100.2", 2, reqid: 2);
        Flow between = TestSpace.Flow("198.51.100.1", "198.51.100.2", IpProtocol.Esp);
        test.Space.Spd.Insert(TestSpace.Policy(TestSpace.Selector("198.51.100.0", 24, "198.51.100.0", 24), 1, PolicyDirection.In, TestSpace.Template(Left, Right, reqid: 1)), exclusive: true);
        test.Space.Spd.Insert(TestSpace.Policy(Covering, 2, PolicyDirection.In, TestSpace.Template("198.51.100.1", "198.51.100.2", reqid: 2)), exclusive: true);
        Assert.Equal(XfrmCounter.InTmplMismatch, Check(test, outer, inner));
        int verified = 0;
        Assert.True(InboundPolicyCheck.Allows(test.Space, between, PolicyDirection.In, [outer], null, ref verified, out _));
        Assert.True(InboundPolicyCheck.Allows(test.Space, Inner, PolicyDirection.In, [outer, inner], null, ref verified, out _));
    }

    /// <summary><c>xfrm_state_addr_cmp</c> compares as the inner packet's family has it, and never the destination.</summary>
    [Theory]
    [InlineData("10.1.0.1", "10.2.0.1", true)]
    [InlineData("2001:db8:1::1", "2001:db8:2::1", false)]
    public void The_source_of_a_tunnel_is_compared_by_the_family_of_what_is_in_it(string from, string to, bool passes)
    {
        using TestSpace test = new();
        Flow flow = TestSpace.Flow(from, to);
        PolicyTemplate template = TestSpace.Template("2001:db8::3", "2001:db8::9", reqid: 1);
        test.Space.Spd.Insert(TestSpace.Policy(new XfrmSelector { Family = flow.Family }, 1, PolicyDirection.In, template), exclusive: true);
        Assert.Equal(passes, Allows(test, flow, PolicyDirection.In, [TestSpace.Sa("2001:db8::2", "2001:db8::1", 1, reqid: 1)], null, out _));
    }
}
