using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Replay;

namespace Xfrmd.Netlink.Tests;

/// <summary>What af_netlink.c does for every protocol: ports, groups, options, dumps in parts, overflow, rights.</summary>
public sealed class NetlinkSocketTests : IDisposable
{
    private const int DumpLimit = 3776;
    private readonly XfrmNamespace _space = new(1, new ManualTime());
    private readonly NetlinkXfrmFamily _family = new();

    public void Dispose() => _space.Dispose();

    private Client Open(int tgid = 1000, bool netAdmin = true, int capacity = int.MaxValue) => new(_family, _space, tgid, netAdmin, capacity);

    [Fact]
    public void The_port_of_a_socket_that_its_program_has_closed_is_free_though_we_have_not_heard_of_it()
    {
        using XfrmNamespace space = new(1, new ManualTime());
        NetlinkXfrmFamily family = new();
        Client closed = new(family, space), open = new(family, space), again = new(family, space);
        Assert.Equal(Errno.None, closed.Bind(0, 0));
        Assert.Equal(1000u, closed.Name.Pid);
        Assert.Equal(Errno.EADDRINUSE, open.Bind(1000, 0));
        closed.Buffer.IsClosed = true;
        Assert.Equal(Errno.None, again.Bind(0, 0));
        Assert.Equal(1000u, again.Name.Pid);
        closed.Dispose();
        Assert.Equal(Errno.EADDRINUSE, open.Bind(1000, 0));
        again.Dispose();
        Assert.Equal(Errno.None, open.Bind(1000, 0));
        open.Dispose();
    }

    [Fact]
    public void Nobody_is_reached_at_the_port_of_a_closed_socket_and_it_listens_to_nothing()
    {
        using Client closed = Open(), other = Open();
        Assert.Equal(Errno.None, closed.Bind(0, 1u << ((int)XfrmGroup.Acquire - 1)));
        Assert.True(_space.KeyManagers.ListensForAcquire);
        Assert.Equal(Errno.None, other.SendTo(Client.NewPolicy(1, 1), 1000, 0));
        closed.Buffer.IsClosed = true;
        Assert.Equal(Errno.ECONNREFUSED, other.SendTo(Client.NewPolicy(1, 1), 1000, 0));
        Assert.False(_space.KeyManagers.ListensForAcquire);
    }

    [Fact]
    public void A_fault_refuses_loses_an_answer_or_an_event_and_nothing_else()
    {
        using Client client = Open(), listener = Open();
        client.Set(NetlinkOption.ExtAck, 1);
        listener.Bind(0, 1 << ((int)XfrmGroup.Policy - 1));
        FaultSubject asked = new(IsPfKey: false, IsEvent: false, (ushort)XfrmMsg.NewPolicy);
        _space.Faults.Add(new FaultRule("NEWPOLICY:ENOMEM@1", asked, FaultKind.Refuse) { Errno = Errno.ENOMEM, Last = 1 });
        _space.Faults.Add(new FaultRule("NEWPOLICY:lose@2", asked, FaultKind.Lose) { First = 2, Last = 2 });
        _space.Faults.Add(new FaultRule("event/NEWPOLICY:lose@2", asked with { IsEvent = true }, FaultKind.Lose) { First = 2, Last = 2 });
        client.Send(Client.NewPolicy(1, 1));
        byte[] refusal = client.Receive()!;
        Assert.Equal(-(int)Errno.ENOMEM, MemoryMarshal.Read<int>(refusal.AsSpan(NlMsgHdr.Size)));
        Assert.Contains("xfrmd fault NEWPOLICY:ENOMEM@1\0", System.Text.Encoding.ASCII.GetString(refusal), StringComparison.Ordinal);
        Assert.Equal((0, 0), (_space.Spd.Count(PolicyDirection.Out), listener.Buffer.Count));
        client.Send(Client.NewPolicy(2, 2));
        Assert.Equal((0, 1, 1), (client.Buffer.Count, _space.Spd.Count(PolicyDirection.Out), listener.Buffer.Count));
        Assert.Equal(0, client.Request(Client.NewPolicy(3, 3)));
        Assert.Equal((2, 1), (_space.Spd.Count(PolicyDirection.Out), listener.Buffer.Count));
        Assert.Equal(0, client.Request(Client.DelPolicy(4, 3)));
        Assert.Equal(2, listener.Buffer.Count);
        // A dump whose answer is lost does not begin, and keeps none from beginning.
        _space.Faults.Add(new FaultRule("GETPOLICY:lose@1", asked with { Type = (ushort)XfrmMsg.GetPolicy }, FaultKind.Lose) { Last = 1 });
        client.Send(Client.DumpPolicies(5));
        Assert.Equal(0, client.Buffer.Count);
        client.Send(Client.DumpPolicies(6));
        Assert.NotEqual(0, client.Buffer.Count);
    }

    [Fact]
    public void Changes_of_one_datagram_settle_together_but_before_anybody_is_told()
    {
        using Client client = Open(), listener = Open();
        List<(int Answers, int Events)> settled = [];
        _space.Observers.Add(new SettlingObserver(() => settled.Add((client.Buffer.Count, listener.Buffer.Count))));
        byte[] Silent(uint host)
        {
            byte[] message = Client.NewPolicy(host, host);
            MemoryMarshal.Write(message.AsSpan(6), (ushort)NlMsgFlags.Request);
            return message;
        }
        client.Send([.. Silent(1), .. Silent(2), .. Silent(3)]);
        Assert.Equal([(0, 0)], settled);
        client.Send([.. Silent(4), .. Client.NewPolicy(5, 5), .. Silent(6), .. Silent(7)]);
        Assert.Equal([(0, 0), (0, 0), (1, 0)], settled);   // before the answer, and at the end
        listener.Bind(0, 1 << ((int)XfrmGroup.Policy - 1));
        settled.Clear();
        client.Send([.. Silent(8), .. Silent(9), .. Client.NewPolicy(10, 9)]);
        Assert.Equal([(1, 0), (1, 1)], settled);
        Assert.Equal((2, 2), (client.Buffer.Count, listener.Buffer.Count));   // the last was refused: it is there already
    }

    private sealed class SettlingObserver(Action settle) : IDatabaseObserver
    {
        public void Settle() => settle();

        public void PolicyInserted(Policy policy, Policy? replaced)
        {
        }

        public void PoliciesRemoved(IReadOnlyList<Policy> policies)
        {
        }

        public void DefaultPolicyChanged()
        {
        }

        public void SocketPolicyChanged(ulong socketInode, Policy? inbound, Policy? outbound)
        {
        }

        public void SaInserted(SecurityAssociation sa)
        {
        }

        public void SasRemoved(IReadOnlyList<SecurityAssociation> sas)
        {
        }
    }

    [Fact]
    public void A_process_has_its_id_as_port_once_and_large_numbers_after_that()
    {
        Client first = Open(), second = Open(), third = Open();
        Assert.Equal(0u, first.Name.Pid);
        first.Bind(0, 0);
        second.Bind(0, 0);
        third.Send([1]);   // sending binds too
        Assert.Equal(1000u, first.Name.Pid);
        Assert.InRange((int)second.Name.Pid, int.MinValue, -4097);
        Assert.InRange((int)third.Name.Pid, int.MinValue, -4097);
        first.Dispose();
        Client fourth = Open();
        fourth.Bind(0, 0);
        Assert.Equal(1000u, fourth.Name.Pid);
    }

    [Fact]
    public void A_port_is_taken_once_and_kept()
    {
        Client first = Open(), second = Open();
        Assert.Equal(Errno.None, first.Bind(77, 0));
        Assert.Equal(Errno.EADDRINUSE, second.Bind(77, 0));
        Assert.Equal(Errno.EINVAL, first.Bind(78, 0));
        Assert.Equal(Errno.None, first.Bind(77, 3));
        Assert.Equal(3u, first.Name.Groups);
        Assert.Equal(Errno.EINVAL, first.Socket.Bind([16, 0, 0, 0], default));
        Assert.Equal(Errno.EINVAL, first.Socket.Bind(new byte[12], default));
    }

    [Fact]
    public void Another_namespace_has_ports_and_groups_of_its_own()
    {
        using XfrmNamespace other = new(2, new ManualTime());
        using Client here = Open(), there = new(_family, other);
        here.Bind(0, 1 << ((int)XfrmGroup.Policy - 1));
        there.Bind(0, 0);
        Assert.Equal(here.Name.Pid, there.Name.Pid);
        Assert.Equal(0, there.Request(Client.NewPolicy(1, 7)));
        Assert.Null(here.Receive());
    }

    [Fact]
    public void Groups_are_joined_by_option_up_to_the_rounded_count()
    {
        using Client client = Open();
        Assert.Equal(Errno.None, client.Set(NetlinkOption.AddMembership, 32));
        Assert.Equal(Errno.EINVAL, client.Set(NetlinkOption.AddMembership, 33));
        Assert.Equal(Errno.EINVAL, client.Set(NetlinkOption.AddMembership, 0));
        Assert.Equal(Errno.None, client.Set(NetlinkOption.AddMembership, (int)XfrmGroup.Sa));
        Assert.Equal(Errno.None, client.Set(NetlinkOption.DropMembership, 32));
        byte[] groups = new byte[8];
        Assert.Equal(Errno.None, client.Socket.GetOption(Client.SolNetlink, (int)NetlinkOption.ListMemberships, groups, out int written));
        Assert.Equal(4, written);
        Assert.Equal(1u << ((int)XfrmGroup.Sa - 1), MemoryMarshal.Read<uint>(groups));
    }

    [Fact]
    public void Who_may_not_is_told_so()
    {
        using Client client = Open(netAdmin: false);
        Assert.Equal(Errno.EPERM, client.Bind(0, 1));
        Assert.Equal(Errno.None, client.Bind(0, 0));
        Assert.Equal(Errno.EPERM, client.Set(NetlinkOption.AddMembership, 1));
        Assert.Equal(Errno.EPERM, client.SendTo([1], 5, 0));
        Assert.Equal(-(int)Errno.EPERM, client.Request(Client.NewPolicy(1, 7)));
        Assert.Equal(-(int)Errno.EPERM, client.Request(Client.DumpPolicies(2)));
        byte[] unknown = Client.Message(XfrmMsg.Max + 1, NlMsgFlags.None, 3, 0);
        Assert.Equal(-(int)Errno.EINVAL, client.Request(unknown));
    }

    [Fact]
    public void A_message_goes_to_another_port_or_nowhere()
    {
        using Client sender = Open(), receiver = Open();
        receiver.Bind(55, 0);
        Assert.Equal(Errno.None, sender.SendTo([1, 2, 3], 55, 0));
        Assert.Equal([1, 2, 3], receiver.Receive()!);
        Assert.Equal(Errno.ECONNREFUSED, sender.SendTo([1, 2, 3], 56, 0));
        Assert.Equal(Errno.ENODATA, sender.Send([]));
        Assert.Equal(Errno.EMSGSIZE, sender.Send(new byte[300_000]));
    }

    [Fact]
    public void Options_are_read_back()
    {
        using Client client = Open();
        foreach (NetlinkOption option in new[]
        {
            NetlinkOption.PktInfo, NetlinkOption.BroadcastError, NetlinkOption.NoEnobufs, NetlinkOption.ListenAllNsid, NetlinkOption.CapAck,
            NetlinkOption.ExtAck, NetlinkOption.GetStrictChk,
        })
        {
            byte[] value = new byte[4];
            Assert.Equal(Errno.None, client.Set(option, 5));
            Assert.Equal(Errno.None, client.Socket.GetOption(Client.SolNetlink, (int)option, value, out _));
            Assert.Equal(1, value[0]);
            Assert.Equal(Errno.EINVAL, client.Socket.GetOption(Client.SolNetlink, (int)option, value.AsSpan(0, 3), out _));
        }
        Assert.Equal(Errno.ENOPROTOOPT, client.Set((NetlinkOption)6, 1));
        Assert.Equal(Errno.ENOPROTOOPT, client.Socket.SetOption(1, 1, [1, 0, 0, 0], default));
    }

    [Fact]
    public void Who_listens_to_all_namespaces_hears_those_that_its_own_has_a_number_for()
    {
        using XfrmNamespace there = new(2, new ManualTime());
        using Client wide = Open(1), narrow = Open(2), powerless = new(_family, _space, 3, netBroadcast: false), actor = new(_family, there, 4);
        int? number = null;
        _space.NumberOf = other => other == there ? number : null;
        foreach (Client client in new[] { wide, narrow, powerless })
        {
            client.Bind(0, 1 << ((int)XfrmGroup.Policy - 1));
        }
        Assert.Equal(Errno.None, wide.Set(NetlinkOption.ListenAllNsid, 1));
        Assert.Equal(Errno.EPERM, powerless.Set(NetlinkOption.ListenAllNsid, 1));
        Assert.Equal(0, actor.Request(Client.NewPolicy(1, 1)));
        Assert.Equal(0, wide.Buffer.Count);
        number = 7;
        Assert.Equal(0, actor.Request(Client.NewPolicy(2, 2)));
        Assert.Equal(new ReceiveOrigin(null, 7), wide.Socket.GetReceiveOrigin(0));
        Assert.Equal((ushort)XfrmMsg.NewPolicy, Client.TypeOf(wide.Receive()!));
        Assert.Equal((0, 0, 0), (wide.Buffer.Count, narrow.Buffer.Count, powerless.Buffer.Count));
        wide.Set(NetlinkOption.PktInfo, 1);
        Assert.Equal(0, wide.Request(Client.NewPolicy(3, 3)));
        Assert.Equal(0, narrow.Request(Client.NewPolicy(4, 4)));
        Assert.Equal(new ReceiveOrigin((int)XfrmGroup.Policy, null), wide.Socket.GetReceiveOrigin(0));   // of its own namespace
        wide.Dispose();
        Assert.Equal(0, actor.Request(Client.NewPolicy(5, 5)));
    }

    [Fact]
    public void A_sender_that_listens_has_its_event_before_its_acknowledgement()
    {
        using Client client = Open();
        client.Bind(0, 1 << ((int)XfrmGroup.Policy - 1));
        client.Send(Client.NewPolicy(9, 7));
        Assert.Equal((ushort)XfrmMsg.NewPolicy, Client.TypeOf(client.Receive()!));
        Assert.Equal(NlMsgType.Error, Client.TypeOf(client.Receive()!));
    }

    [Fact]
    public void Several_messages_in_a_datagram_are_answered_one_by_one_until_a_bad_header()
    {
        using Client client = Open();
        byte[] bad = new byte[16];
        bad[0] = 15;
        client.Send([.. Client.NewPolicy(1, 7), .. Client.NewPolicy(2, 7), .. Client.NewPolicy(3, 8), .. bad, .. Client.NewPolicy(4, 9)]);
        int[] errors = [.. Enumerable.Range(0, 3).Select(_ => MemoryMarshal.Read<int>(client.Receive().AsSpan(16)))];
        Assert.Equal([0, -(int)Errno.EEXIST, 0], errors);
        Assert.Null(client.Receive());
        Assert.Equal(2, _space.Spd.Total);
    }

    [Fact]
    public void A_dump_comes_in_parts_as_they_are_read_and_a_second_one_waits_its_turn()
    {
        using Client client = Open(), other = Open();
        const uint count = 100;
        for (uint i = 1; i <= count; i++)
        {
            Assert.Equal(0, client.Request(Client.NewPolicy(i, i)));
        }
        client.Send(Client.DumpPolicies(500));
        client.Send(Client.DumpPolicies(501));
        // What is added now stands before the walk's place and is not seen; what is deleted behind it is not seen either.
        Assert.Equal(0, other.Request(Client.NewPolicy(1, 5000)));
        Assert.Equal(0, other.Request(Client.DelPolicy(1, 1)));
        int seen = 0, busy = 0, done = 0;
        while (client.Receive() is { } datagram)
        {
            Assert.InRange(datagram.Length, 16, DumpLimit);
            for (int at = 0; at < datagram.Length; at += MemoryMarshal.Read<int>(datagram.AsSpan(at)))
            {
                NlMsgHdr header = MemoryMarshal.Read<NlMsgHdr>(datagram.AsSpan(at));
                seen += header is { Type: (ushort)XfrmMsg.NewPolicy, Seq: 500 } ? 1 : 0;
                done += header is { Type: NlMsgType.Done, Seq: 500 } ? 1 : 0;
                busy += header is { Type: NlMsgType.Error, Seq: 501 } && MemoryMarshal.Read<int>(datagram.AsSpan(at + 16)) == -(int)Errno.EBUSY ? 1 : 0;
            }
        }
        Assert.Equal(((int)count - 1, 1, 1), (seen, done, busy));
        client.Send(Client.DumpPolicies(502));
        Assert.Equal((ushort)XfrmMsg.NewPolicy, Client.TypeOf(client.Receive()!));
    }

    /// <summary><c>netlink_recvmsg</c>: the end of the dump is queued by the receive of the part before it, a look at it included.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Each_receive_queues_the_next_part(int taken)
    {
        using Client client = Open();
        Assert.Equal(0, client.Request(Client.NewPolicy(1, 1)));
        client.Send(Client.DumpPolicies(500));
        client.Send(Client.DumpPolicies(501));   // EBUSY: the first is under way
        client.Socket.NoteReceive(0, taken);
        client.Send(Client.DelPolicy(2, 1));
        List<ushort> types = [];
        while (client.Receive() is { } datagram)
        {
            types.Add(Client.TypeOf(datagram));
        }
        Assert.Equal([(ushort)XfrmMsg.NewPolicy, NlMsgType.Error, NlMsgType.Done, NlMsgType.Error], types);
    }

    /// <summary><c>netlink_getsockbyportid</c>, which the kernel's own answers go through too.</summary>
    [Fact]
    public void A_connected_socket_hears_its_peer_alone()
    {
        using Client one = Open(), two = Open(), three = Open();
        two.Bind(7, 0);
        three.Bind(8, 0);
        Assert.Equal(Errno.None, one.Bind(9, 0));
        Assert.Equal(Errno.None, one.Connect(7));
        Assert.Equal(Errno.None, one.SendTo(Client.NewPolicy(1, 1), 0, 0));
        Assert.Equal(1, _space.Spd.Total);
        Assert.Null(one.Receive());   // the acknowledgement
        Assert.Equal(Errno.ECONNREFUSED, three.SendTo([1], 9, 0));
        Assert.Equal(Errno.None, two.SendTo([1], 9, 0));
        Assert.NotNull(one.Receive());
    }

    [Theory]
    [InlineData(0, DumpLimit)]          // a look at the length alone (MSG_PEEK | MSG_TRUNC)
    [InlineData(4096, 4096)]
    [InlineData(1 << 20, 32768 - 320)]  // SKB_WITH_OVERHEAD(32768)
    public void Parts_of_a_dump_are_as_large_as_the_largest_buffer_so_far(int room, int limit)
    {
        const int Entry = 168 + 16 + 64 + 4;
        using Client client = Open(), other = Open();
        for (uint i = 1; i <= 1000; i++)
        {
            other.Request(Client.NewPolicy(i, i));
        }
        client.Socket.NoteReceive(1 << 20, taken: 1);   // nothing is there to be received
        client.Send(Client.NewPolicy(1001, 1));   // EEXIST
        client.Socket.NoteReceive((ulong)room, taken: 1);
        client.Socket.NoteReceive(16, taken: 1);   // a smaller one changes nothing
        Assert.NotNull(client.Receive());
        client.Send(Client.DumpPolicies(1));
        int largest = 0, total = 0;
        while (client.Receive() is { } datagram)
        {
            largest = Math.Max(largest, datagram.Length);
            total += Client.TypeOf(datagram) == NlMsgType.Done ? 0 : datagram.Length;
        }
        Assert.InRange(largest, limit - Entry, limit);
        Assert.InRange(total, 1000 * 168, 1000 * Entry);
    }

    [Fact]
    public void A_full_queue_is_told_once_and_is_over_when_all_is_read()
    {
        using Client sender = Open(), listener = Open(capacity: 2);
        listener.Bind(0, 1 << ((int)XfrmGroup.Policy - 1));
        for (uint i = 1; i <= 4; i++)
        {
            sender.Request(Client.NewPolicy(i, i));
        }
        Assert.Equal(Errno.ENOBUFS, listener.Socket.TakePendingError());
        Assert.Equal(Errno.None, listener.Socket.TakePendingError());
        Assert.NotNull(listener.Receive());
        sender.Request(Client.NewPolicy(5, 5));   // congested until the queue is empty
        Assert.NotNull(listener.Receive());
        Assert.Null(listener.Receive());
        sender.Request(Client.NewPolicy(6, 6));
        Assert.NotNull(listener.Receive());
    }

    [Fact]
    public void A_listener_that_wants_no_ENOBUFS_hears_what_fits()
    {
        using Client sender = Open(), listener = Open(capacity: 2);
        listener.Bind(0, 1 << ((int)XfrmGroup.Policy - 1));
        listener.Set(NetlinkOption.NoEnobufs, 1);
        for (uint i = 1; i <= 3; i++)
        {
            sender.Request(Client.NewPolicy(i, i));
        }
        Assert.Equal(Errno.None, listener.Socket.TakePendingError());
        Assert.NotNull(listener.Receive());
        sender.Request(Client.NewPolicy(4, 4));
        Assert.NotNull(listener.Receive());
        Assert.NotNull(listener.Receive());
        Assert.Null(listener.Receive());
    }

    [Fact]
    public void A_dump_through_a_queue_of_one_loses_nothing()
    {
        using Client writer = Open(), reader = Open(capacity: 1);
        for (uint i = 1; i <= 50; i++)
        {
            writer.Request(Client.NewPolicy(i, i));
        }
        reader.Send(Client.DumpPolicies(1));
        int seen = 0;
        bool done = false;
        while (reader.Receive() is { } datagram)
        {
            for (int at = 0; at < datagram.Length; at += MemoryMarshal.Read<int>(datagram.AsSpan(at)))
            {
                ushort type = MemoryMarshal.Read<NlMsgHdr>(datagram.AsSpan(at)).Type;
                seen += type == (ushort)XfrmMsg.NewPolicy ? 1 : 0;
                done |= type == NlMsgType.Done;
            }
        }
        Assert.Equal((50, true), (seen, done));
    }
}
