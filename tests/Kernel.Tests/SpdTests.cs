namespace Xfrmd.Kernel.Tests;

public sealed class SpdTests
{
    [Fact]
    public void Lower_priority_value_wins_and_of_equals_the_older()
    {
        using TestSpace test = new();
        Policy wide = TestSpace.Policy(TestSpace.Selector("10.0.0.0", 8, "10.0.0.0", 8), 100);
        Policy narrow = TestSpace.Policy(TestSpace.Selector("10.1.0.0", 16, "10.2.0.0", 16), 100);
        Policy best = TestSpace.Policy(TestSpace.Selector("0.0.0.0", 0, "10.2.3.4", 32), 50);
        foreach (Policy policy in new[] { wide, narrow, best })
        {
            Assert.True(test.Space.Spd.Insert(policy, exclusive: true).IsOk);
        }
        Assert.Same(best, test.Space.Spd.Find(TestSpace.Flow("10.1.1.1", "10.2.3.4"), PolicyDirection.Out));
        Assert.Same(wide, test.Space.Spd.Find(TestSpace.Flow("10.1.1.1", "10.2.3.5"), PolicyDirection.Out));
        Assert.True(test.Space.Spd.Delete(wide));
        Assert.Same(narrow, test.Space.Spd.Find(TestSpace.Flow("10.1.1.1", "10.2.3.5"), PolicyDirection.Out));
        Assert.Null(test.Space.Spd.Find(TestSpace.Flow("10.1.1.1", "10.3.3.5"), PolicyDirection.Out));
        Assert.Null(test.Space.Spd.Find(TestSpace.Flow("10.1.1.1", "10.2.3.5"), PolicyDirection.In));
    }

    [Fact]
    public void An_update_keeps_the_index_and_makes_the_policy_younger_than_those_of_other_lists()
    {
        using TestSpace test = new();
        XfrmSelector selector = TestSpace.Selector("10.0.0.0", 8, "10.0.0.0", 8);
        Policy first = TestSpace.Policy(selector, 100), other = TestSpace.Policy(TestSpace.Selector("10.0.0.0", 8, "10.2.0.0", 16), 100), second = TestSpace.Policy(selector, 100);
        Assert.True(test.Space.Spd.Insert(first, exclusive: true).IsOk);
        Assert.True(test.Space.Spd.Insert(other, exclusive: true).IsOk);
        Assert.Equal(Errno.EEXIST, test.Space.Spd.Insert(second, exclusive: true).Errno);
        Assert.Same(first, test.Space.Spd.Find(TestSpace.Flow("10.1.1.1", "10.2.2.2"), PolicyDirection.Out));
        Assert.True(test.Space.Spd.Insert(second, exclusive: false).IsOk);
        Assert.Equal(first.Index, second.Index);
        Assert.True(first.IsDead);
        Assert.Same(other, test.Space.Spd.Find(TestSpace.Flow("10.1.1.1", "10.2.2.2"), PolicyDirection.Out));
        Assert.Equal(2, test.Space.Spd.Count(PolicyDirection.Out));
    }

    [Fact]
    public void A_random_database_answers_as_a_walk_over_all_policies_does()
    {
        using TestSpace test = new();
        Random random = new(99);
        List<Policy> model = [];
        for (int round = 0; round < 3000; round++)
        {
            if (model.Count > 0 && random.Next(3) == 0)
            {
                Policy gone = model[random.Next(model.Count)];
                model.Remove(gone);
                Assert.True(test.Space.Spd.Delete(gone));
            }
            else
            {
                int d = random.Next(4) * 8, s = random.Next(4) * 8;
                Policy added = new()
                {
                    Selector = TestSpace.Selector($"10.{random.Next(3)}.{random.Next(2)}.{random.Next(2)}", s, $"10.{random.Next(3)}.{random.Next(2)}.{random.Next(2)}", d, random.Next(4) == 0 ? IpProtocol.Tcp : (byte)0),
                    Direction = PolicyDirection.Out,
                    Priority = (uint)random.Next(5),
                    Mark = random.Next(4) == 0 ? new XfrmMark(1, 1) : default,
                    IfId = random.Next(6) == 0 ? 7u : 0,
                };
                if (test.Space.Spd.Insert(added, exclusive: true).IsOk)
                {
                    model.Add(added);
                }
            }
            Flow flow = TestSpace.Flow($"10.{random.Next(3)}.{random.Next(2)}.{random.Next(2)}", $"10.{random.Next(3)}.{random.Next(2)}.{random.Next(2)}", random.Next(2) == 0 ? IpProtocol.Tcp : IpProtocol.Udp)
                with
            { Mark = (uint)random.Next(2), IfId = random.Next(3) == 0 ? 7u : 0 };
            Policy? expected = model.Where(p => p.Matches(flow)).OrderBy(p => p.Priority).ThenBy(p => p.Position).FirstOrDefault();
            Assert.Same(expected, test.Space.Spd.Find(flow, PolicyDirection.Out));
        }
    }

    // xfrm_policy_insert_list, __xfrm_policy_eval_candidates, xfrm_hash_rebuild
    [Fact]
    public void Of_equal_policies_a_replaced_one_keeps_its_place_among_those_of_its_list_only()
    {
        using TestSpace test = new();
        Policy Put(string source, byte prefix, byte protocol)
        {
            Policy policy = new() { Selector = TestSpace.Selector(source, prefix, "10.1.0.0", 24, protocol), Direction = PolicyDirection.Out, Priority = 5 };
            Assert.True(test.Space.Spd.Insert(policy, exclusive: false).IsOk);
            return policy;
        }
        Policy? Found() => test.Space.Spd.Find(TestSpace.Flow("10.0.0.1", "10.1.0.1", IpProtocol.Udp), PolicyDirection.Out);
        Put("10.0.0.0", 24, 0);
        Policy second = Put("10.0.0.0", 24, IpProtocol.Udp), elsewhere = Put("0.0.0.0", 0, 0);
        Policy again = Put("10.0.0.0", 24, 0);
        // It is first in its list (Both), where the second stands behind it; but in its own list one is older.
        Assert.Same(elsewhere, Found());
        Assert.True(test.Space.Spd.Delete(elsewhere));
        Assert.Same(again, Found());
        // Sorted anew by age.
        test.Space.Spd.SetThresholds((32, 32), (128, 128));
        Assert.Same(second, Found());
    }

    [Fact]
    public void A_walk_survives_what_comes_and_goes()
    {
        using TestSpace test = new();
        Policy[] policies = [.. Enumerable.Range(0, 10).Select(i => TestSpace.Policy(TestSpace.Selector($"10.0.0.{i}", 32, "10.1.0.0", 16), 1))];
        foreach (Policy policy in policies)
        {
            test.Space.Spd.Insert(policy, exclusive: true);
        }
        using DatabaseWalk<Policy> walk = test.Space.Spd.Walk();
        List<Policy> seen = [];
        while (walk.Peek() is { } policy)
        {
            seen.Add(policy);
            walk.Advance();
            test.Space.Spd.Delete(policy);
            if (seen.Count == 3)
            {
                test.Space.Spd.Delete(policies[2]);
                test.Space.Spd.Insert(TestSpace.Policy(TestSpace.Selector("10.9.0.0", 16, "10.1.0.0", 16), 1), exclusive: true);
            }
        }
        Assert.Equal(policies.Reverse().Where(p => p != policies[2]), seen);
    }

    [Fact]
    public void Hard_add_limit_deletes_a_policy_and_the_soft_one_is_told_every_thirty_seconds()
    {
        using TestSpace test = new();
        Policy policy = new()
        {
            Selector = TestSpace.Selector("10.0.0.0", 8, "10.0.0.0", 8),
            Direction = PolicyDirection.Out,
            Lifetime = XfrmLifetimeCfg.Unlimited(100) with { SoftAddExpiresSeconds = 10 },
        };
        test.Space.Spd.Insert(policy, exclusive: true);
        test.Pass(9);
        Assert.Empty(test.Manager.PolicyEvents);
        test.Pass(3);
        Assert.Single(test.Manager.PolicyEvents);
        test.Pass(30);
        Assert.Equal(2, test.Manager.PolicyEvents.Count);
        test.Pass(70);
        Assert.True(test.Manager.PolicyEvents[^1].Hard);
        Assert.Equal(0, test.Space.Spd.Total);
    }
}
