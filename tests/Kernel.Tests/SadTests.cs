namespace Xfrmd.Kernel.Tests;

public sealed class SadTests
{
    private const string Left = "192.0.2.1", Right = "192.0.2.2";

    [Fact]
    public void A_larval_SPI_is_completed_by_an_update_and_not_by_an_add()
    {
        using TestSpace test = new();
        SecurityAssociation larval = test.Space.Sad.FindOrCreateLarval(default, AddressFamily.Inet, XfrmMode.Tunnel, 0, 0, null, IpProtocol.Esp, XfrmAddress.Parse(Right), XfrmAddress.Parse(Left));
        Assert.True(test.Space.Sad.AllocateSpi(larval, 0x100, 0x100).IsOk);
        Assert.Equal(0x100u, larval.Id.Spi.Value);

        Assert.Equal(Errno.EEXIST, test.Space.Sad.Add(TestSpace.Sa(Left, Right, 0x100)).Errno);
        SecurityAssociation sa = TestSpace.Sa(Left, Right, 0x100);
        Assert.True(test.Space.Sad.Update(sa).IsOk);
        Assert.Equal(SaState.Dead, larval.State);
        Assert.Same(sa, test.Space.Sad.Lookup(0, XfrmAddress.Parse(Right), Be32.From(0x100), IpProtocol.Esp, AddressFamily.Inet));
        Assert.Equal(1, test.Space.Sad.Count);
        Assert.Empty(test.Manager.Events);
    }

    [Fact]
    public void A_taken_SPI_leaves_the_larval_without_one()
    {
        using TestSpace test = new();
        Assert.True(test.Space.Sad.Add(TestSpace.Sa(Left, Right, 0x200)).IsOk);
        SecurityAssociation larval = test.Space.Sad.FindOrCreateLarval(default, AddressFamily.Inet, XfrmMode.Tunnel, 9, 0, null, IpProtocol.Esp, XfrmAddress.Parse(Right), XfrmAddress.Parse(Left));
        Assert.Equal(Errno.ENOENT, test.Space.Sad.AllocateSpi(larval, 0x200, 0x200).Errno);
        Assert.Equal(Errno.ENOENT, test.Space.Sad.AllocateSpi(larval, 0, 0xffffffff).Errno);
        Assert.Equal(0u, larval.Id.Spi.Raw);
        Assert.Equal(2, test.Space.Sad.Count);
        // xfrm_alloc_spi draws as many numbers as the range has: in a narrow one it may miss what is free.
        Assert.True(test.Space.Sad.AllocateSpi(larval, 0x200, 0x2ff).IsOk);
        Assert.InRange(larval.Id.Spi.Value, 0x201u, 0x2ffu);
    }

    [Fact]
    public void What_was_flushed_frees_its_SPIs_and_is_found_no_more()
    {
        using TestSpace test = new();
        SecurityAssociation larval = test.Space.Sad.FindOrCreateLarval(default, AddressFamily.Inet, XfrmMode.Tunnel, 9, 0, null, IpProtocol.Esp, XfrmAddress.Parse(Right), XfrmAddress.Parse(Left));
        Assert.True(test.Space.Sad.Add(TestSpace.Sa(Left, Right, 0x200)).IsOk);
        Assert.Equal(Errno.ENOENT, test.Space.Sad.AllocateSpi(larval, 0x200, 0x200).Errno);
        Assert.Equal(2, test.Space.Sad.Flush(0));
        Assert.Equal(0, test.Space.Sad.Count);
        Assert.Empty(test.Space.Sad.All);
        Assert.Null(test.Space.Sad.Lookup(0, XfrmAddress.Parse(Right), Be32.From(0x200), IpProtocol.Esp, AddressFamily.Inet));
        SecurityAssociation next = test.Space.Sad.FindOrCreateLarval(default, AddressFamily.Inet, XfrmMode.Tunnel, 9, 0, null, IpProtocol.Esp, XfrmAddress.Parse(Right), XfrmAddress.Parse(Left));
        Assert.NotSame(larval, next);
        Assert.True(test.Space.Sad.AllocateSpi(next, 0x200, 0x200).IsOk);
        Assert.Equal(Errno.EEXIST, test.Space.Sad.Add(TestSpace.Sa(Left, Right, 0x200)).Errno);
    }

    [Fact]
    public void A_larval_that_nobody_completes_expires_hard()
    {
        using TestSpace test = new();
        test.Space.Sysctls.AcqExpires = 30;
        test.Space.Sad.FindOrCreateLarval(default, AddressFamily.Inet, XfrmMode.Tunnel, 0, 0, null, IpProtocol.Esp, XfrmAddress.Parse(Right), XfrmAddress.Parse(Left));
        test.Pass(29);
        Assert.Equal(1, test.Space.Sad.Count);
        test.Pass(3);
        Assert.Equal(0, test.Space.Sad.Count);
        Assert.True(Assert.Single(test.Manager.Events).Hard);
    }

    [Fact]
    public void Soft_then_hard_time_limits_are_told_once_each()
    {
        using TestSpace test = new();
        SecurityAssociation sa = TestSpace.Sa(Left, Right, 1);
        sa.AddTime = test.Space.WallSeconds;
        sa.Lifetime = XfrmLifetimeCfg.Unlimited(10) with { SoftAddExpiresSeconds = 5 };
        test.Space.Sad.Add(sa);
        int before = test.Space.Generation;
        test.Pass(7);
        Assert.False(Assert.Single(test.Manager.Events).Hard);
        Assert.True(sa.IsDying);
        Assert.NotEqual(before, test.Space.Generation);
        test.Pass(5);
        Assert.Equal(2, test.Manager.Events.Count);
        Assert.True(test.Manager.Events[1].Hard);
        Assert.Equal(0, test.Space.Sad.Count);
    }

    [Fact]
    public void Packet_limits_stop_an_SA_and_say_so()
    {
        using TestSpace test = new();
        SecurityAssociation sa = TestSpace.Sa(Left, Right, 1);
        sa.Lifetime = XfrmLifetimeCfg.Unlimited() with { SoftPacketLimit = 2, HardPacketLimit = 3 };
        test.Space.Sad.Add(sa);
        List<ExpiryVerdict> verdicts = [];
        for (int i = 0; i < 4; i++)
        {
            verdicts.Add(sa.CheckExpiry(1000));
            if (verdicts[^1] != ExpiryVerdict.Hard)
            {
                sa.Account(100, 1, 1000);
            }
        }
        Assert.Equal([ExpiryVerdict.Alive, ExpiryVerdict.Alive, ExpiryVerdict.Soft, ExpiryVerdict.Hard], verdicts);
        Assert.Equal(SaState.Expired, sa.State);
        test.Space.PostExpire(sa, hard: true);
        test.Space.RunPending();
        Assert.Equal(0, test.Space.Sad.Count);
        Assert.True(Assert.Single(test.Manager.Events).Hard);
    }

    [Fact]
    public void The_packet_behind_a_soft_limit_looks_for_an_SA_that_is_not_dying()
    {
        using TestSpace test = new();
        test.Space.Spd.Insert(TestSpace.Policy(TestSpace.Selector("10.1.0.0", 16, "10.2.0.0", 16), 1, PolicyDirection.Out, TestSpace.Template(Left, Right)), exclusive: true);
        SecurityAssociation older = TestSpace.Sa(Left, Right, 1), newer = TestSpace.Sa(Left, Right, 2);
        (older.AddTime, newer.AddTime) = (1000, 2000);
        newer.Lifetime = XfrmLifetimeCfg.Unlimited() with { SoftPacketLimit = 1 };
        test.Space.Sad.Add(older);
        test.Space.Sad.Add(newer);
        Flow flow = TestSpace.Flow("10.1.0.1", "10.2.0.1");
        OutboundDecision first = test.Space.Resolver.Resolve(flow);
        Assert.Same(newer, Assert.Single(first.Sas));
        newer.Account(100, 1, 1000);
        Assert.Equal(ExpiryVerdict.Soft, newer.CheckExpiry(1000));
        test.Space.PostExpire(newer, hard: false);
        Assert.NotEqual(first.Generation, test.Space.Generation);
        Assert.Same(older, Assert.Single(test.Space.Resolver.Resolve(flow).Sas));
    }

    [Fact]
    public void A_flow_without_SA_asks_once_and_is_resolved_by_the_SA_that_comes()
    {
        using TestSpace test = new();
        Policy policy = TestSpace.Policy(TestSpace.Selector("10.1.0.0", 16, "10.2.0.0", 16), 1, PolicyDirection.Out, TestSpace.Template(Left, Right, reqid: 7));
        test.Space.Spd.Insert(policy, exclusive: true);
        Flow flow = TestSpace.Flow("10.1.0.1", "10.2.0.1");
        for (int i = 0; i < 3; i++)
        {
            OutboundDecision pending = test.Space.Resolver.Resolve(flow);
            Assert.Equal((OutboundAction.Pending, XfrmCounter.OutNoStates), (pending.Action, pending.Counter));
            test.Space.RunPending();
        }
        SecurityAssociation larval = Assert.Single(test.Manager.Acquires);
        Assert.Equal((7u, SaDirection.Out), (larval.Reqid, larval.Direction));
        Assert.Equal(32, larval.Selector.PrefixlenD);

        SecurityAssociation sa = TestSpace.Sa(Left, Right, 0x1234, reqid: 7);
        Assert.True(test.Space.Sad.Add(sa).IsOk);
        OutboundDecision decision = test.Space.Resolver.Resolve(flow);
        Assert.Equal(OutboundAction.Transform, decision.Action);
        Assert.Same(sa, Assert.Single(decision.Sas));
        Assert.Equal(1, test.Space.Sad.Count);
        Assert.NotEqual(0u, policy.UseTime);
    }

    [Fact]
    public void Without_a_listener_no_larval_is_kept_and_the_flow_stays_pending()
    {
        using TestSpace test = new();
        test.Manager.ListensForAcquire = false;
        test.Space.Spd.Insert(TestSpace.Policy(TestSpace.Selector("10.1.0.0", 16, "10.2.0.0", 16), 1, PolicyDirection.Out, TestSpace.Template(Left, Right)), exclusive: true);
        Assert.Equal(OutboundAction.Pending, test.Space.Resolver.Resolve(TestSpace.Flow("10.1.0.1", "10.2.0.1")).Action);
        test.Space.RunPending();
        Assert.Equal(0, test.Space.Sad.Count);
    }

    [Fact]
    public void A_template_with_SPI_takes_that_SA_and_another_is_an_error()
    {
        using TestSpace test = new();
        SecurityAssociation old = TestSpace.Sa(Left, Right, 1), fresh = TestSpace.Sa(Left, Right, 2);
        old.AddTime = 10;
        fresh.AddTime = 20;
        test.Space.Sad.Add(old);
        test.Space.Sad.Add(fresh);
        XfrmSelector selector = TestSpace.Selector("10.1.0.0", 16, "10.2.0.0", 16);
        Flow flow = TestSpace.Flow("10.1.0.1", "10.2.0.1");
        test.Space.Spd.Insert(TestSpace.Policy(selector, 1, PolicyDirection.Out, TestSpace.Template(Left, Right)), exclusive: false);
        Assert.Same(fresh, test.Space.Resolver.Resolve(flow).Sas[0]);
        test.Space.Spd.Insert(TestSpace.Policy(selector, 1, PolicyDirection.Out, TestSpace.Template(Left, Right, spi: 1)), exclusive: false);
        Assert.Same(old, test.Space.Resolver.Resolve(flow).Sas[0]);
        test.Space.Spd.Insert(TestSpace.Policy(selector, 1, PolicyDirection.Out, TestSpace.Template(Left, Right, spi: 1, reqid: 5)), exclusive: false);
        OutboundDecision refused = test.Space.Resolver.Resolve(flow);
        Assert.Equal((OutboundAction.Drop, XfrmCounter.OutPolError, Errno.EEXIST), (refused.Action, refused.Counter, refused.Errno));
    }
}
