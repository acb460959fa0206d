using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Replay;

namespace Xfrmd.Netlink.Tests;

/// <summary>Rules of SAs that recordings of a real kernel taught, each by itself.</summary>
public sealed class StateRuleTests : IDisposable
{
    private const int EspKeyBytes = 20;
    private readonly ManualTime _time = new();
    private readonly XfrmNamespace _space;
    private readonly Client _client, _events;
    private uint _seq;

    public StateRuleTests()
    {
        _space = new XfrmNamespace(1, _time);
        NetlinkXfrmFamily family = new();
        _client = new Client(family, _space);
        _events = new Client(family, _space);
        foreach (XfrmGroup group in new[] { XfrmGroup.Expire, XfrmGroup.Sa, XfrmGroup.Aevents })
        {
            Assert.Equal(Errno.None, _events.Set(NetlinkOption.AddMembership, (int)group));
        }
    }

    public void Dispose()
    {
        _client.Dispose();
        _events.Dispose();
        _space.Dispose();
    }

    [Fact]
    public void An_SPI_is_free_only_where_no_SA_of_the_protocol_has_it()
    {
        Assert.Equal(0, Add(XfrmMsg.NewSa, Info("10.0.0.2", 0x1000), []));
        Assert.Equal(-(int)Errno.ENOENT, Allocate("10.0.0.9", 0x1000, IpProtocol.Esp));
        Assert.Equal(0, Allocate("10.0.0.9", 0x1000, IpProtocol.Ah));
        Assert.Equal(0, Delete("10.0.0.2", 0x1000));
        Assert.Equal(0, Allocate("10.0.0.9", 0x1000, IpProtocol.Esp));
    }

    [Fact]
    public void A_mark_is_masked_where_an_SA_is_stored_and_told_as_it_came_where_it_only_updates()
    {
        XfrmMark mark = new(0x107, 0xff);
        Add(XfrmMsg.NewSa, Info("10.0.0.2", 0x1000), [(XfrmAttr.Mark, Client.Bytes(mark))]);
        Assert.Contains(Convert.ToHexString(Client.Bytes(mark.Masked)), NextEvent(), StringComparison.Ordinal);
        Add(XfrmMsg.UpdSa, Info("10.0.0.2", 0x1000), [(XfrmAttr.Mark, Client.Bytes(mark))]);
        Assert.Contains(Convert.ToHexString(Client.Bytes(mark)), NextEvent(), StringComparison.Ordinal);
        Assert.Equal(mark.Masked, _space.Sad.All.Single().Mark);
    }

    [Fact]
    public void An_update_that_puts_an_SA_past_its_limit_is_told_after_the_expiry()
    {
        Add(XfrmMsg.NewSa, Info("10.0.0.2", 0x1000), []);
        NextEvent();
        SecurityAssociation sa = _space.Sad.All.Single();
        sa.CheckExpiry(_space.WallSeconds);   // as for a packet: it is in use from here on
        sa.Account(1000, 10, _space.WallSeconds);
        XfrmUserSaInfo info = Info("10.0.0.2", 0x1000);
        info.Lft.HardPacketLimit = 5;
        Assert.Equal(0, Add(XfrmMsg.UpdSa, info, []));
        Assert.Equal((ushort)XfrmMsg.Expire, NextType());
        Assert.Equal((ushort)XfrmMsg.UpdSa, NextType());
        Assert.Empty(_space.Sad.All);
    }

    /// <summary>An HMAC's key may have any length, and is told twice: with 1,685 bytes the answer would be longer than NLMSG_GOODSIZE.</summary>
    [Theory]
    [InlineData(1684, true)]
    [InlineData(1685, false)]
    public void An_SA_that_fits_no_answer_is_not_told_and_ends_a_dump(int keyBytes, bool fits)
    {
        Assert.Equal(0, Add(XfrmMsg.NewSa, Info("10.0.0.2", 0x1000), []));
        XfrmUserSaInfo info = Info("10.0.0.3", 0x1000);
        info.Id.Proto = IpProtocol.Ah;
        byte[] key = [.. Client.Bytes(new XfrmAlgo { Name = XfrmAlgName.From("hmac(sha1)"), KeyLen = (uint)keyBytes * 8 }), .. new byte[keyBytes]];
        Assert.Equal(0, _client.Request(Client.Message(XfrmMsg.NewSa, NlMsgFlags.Ack, ++_seq, info, (XfrmAttr.AlgAuth, key))));
        XfrmUserSaId id = new() { Daddr = info.Id.Daddr, Spi = info.Id.Spi, Family = AddressFamily.Inet, Proto = IpProtocol.Ah };
        Assert.Equal(fits ? 0 : -(int)Errno.EMSGSIZE, _client.Request(Client.Message(XfrmMsg.GetSa, NlMsgFlags.Ack, ++_seq, id)));
        Assert.Equal(Errno.None, _client.Send(Client.Message(XfrmMsg.GetSa, NlMsgFlags.Dump, ++_seq, new XfrmUserSaId())));
        List<ushort> types = [];
        while (_client.Receive() is { } part)
        {
            types.Add(Client.TypeOf(part));
        }
        // The newest comes first: what does not fit leaves the part empty, and an empty part is the last.
        Assert.Equal(fits ? [(ushort)XfrmMsg.NewSa, (ushort)XfrmMsg.NewSa, NlMsgType.Done] : [NlMsgType.Done], types);
    }

    [Theory]
    [InlineData(IpProtocol.Esp)]
    [InlineData(IpProtocol.Comp)]
    public void An_SA_cannot_move_to_no_family(byte proto)
    {
        XfrmUserSaInfo info = Info("10.0.0.2", 0x1000);
        info.Id.Proto = proto;
        byte[] deflate = Client.Bytes(new XfrmAlgo { Name = XfrmAlgName.From("deflate") });
        Assert.Equal(0, proto == IpProtocol.Esp
            ? Add(XfrmMsg.NewSa, info, [])
            : _client.Request(Client.Message(XfrmMsg.NewSa, NlMsgFlags.Ack, ++_seq, info, (XfrmAttr.AlgComp, deflate))));
        AddPolicyFor(info);
        XfrmUserMigrate entry = new()
        {
            OldDaddr = info.Id.Daddr,
            OldSaddr = info.Saddr,
            NewDaddr = info.Id.Daddr,
            NewSaddr = XfrmAddress.Parse("10.0.0.3"),
            Proto = proto,
            Mode = (byte)XfrmMode.Tunnel,
            Reqid = 1,
            OldFamily = AddressFamily.Inet,
            NewFamily = AddressFamily.Unspec,
        };
        SecurityAssociation[] before = [.. _space.Sad.All];
        Assert.Equal(-(int)Errno.ENODATA, _client.Request(Client.Message(XfrmMsg.Migrate, NlMsgFlags.Ack, ++_seq,
            new XfrmUserPolicyId { Sel = Client.Selector(1), Dir = (byte)PolicyDirection.Out }, (XfrmAttr.Migrate, Client.Bytes(entry)))));
        Assert.Equal(before, _space.Sad.All);
    }

    private void AddPolicyFor(in XfrmUserSaInfo info)
    {
        PolicyTemplate template = new() { Id = info.Id, Family = AddressFamily.Inet, Saddr = info.Saddr, Reqid = 1, ModeByte = (byte)XfrmMode.Tunnel };
        Assert.Equal(0, _client.Request(Client.Message(XfrmMsg.NewPolicy, NlMsgFlags.Ack, ++_seq,
            new XfrmUserPolicyInfo { Sel = Client.Selector(1), Lft = XfrmLifetimeCfg.Unlimited(), Dir = (byte)PolicyDirection.Out }, (XfrmAttr.Tmpl, Client.Bytes(template)))));
    }

    /// <summary>Linux 6.16: what moves may be given to a device too, of which there is none that could; refused, nothing has moved.</summary>
    [Theory]
    [InlineData(XfrmOffloadFlags.None, 0, null)]
    [InlineData(XfrmOffloadFlags.Packet, -(int)Errno.ENODATA, null)]
    [InlineData((XfrmOffloadFlags)8, -(int)Errno.ENODATA, "Unrecognized flags in offload request")]
    public void An_SA_that_moves_may_be_offloaded(XfrmOffloadFlags flags, int expected, string? text)
    {
        XfrmUserSaInfo info = Info("10.0.0.2", 0x1000);
        Assert.Equal(0, Add(XfrmMsg.NewSa, info, []));
        AddPolicyFor(info);
        XfrmUserMigrate entry = new()
        {
            OldDaddr = info.Id.Daddr,
            OldSaddr = info.Saddr,
            NewDaddr = XfrmAddress.Parse("10.0.0.4"),
            NewSaddr = info.Saddr,
            Proto = info.Id.Proto,
            Mode = info.Mode,
            Reqid = 1,
            OldFamily = AddressFamily.Inet,
            NewFamily = AddressFamily.Inet,
        };
        Assert.Equal((expected, text), Ask(Client.Message(XfrmMsg.Migrate, NlMsgFlags.Ack, ++_seq, new XfrmUserPolicyId { Sel = Client.Selector(1), Dir = (byte)PolicyDirection.Out },
            (XfrmAttr.Migrate, Client.Bytes(entry)), (XfrmAttr.OffloadDev, Client.Bytes(new XfrmUserOffload { Ifindex = 1, Flags = flags })))));
        XfrmAddress end = expected == 0 ? entry.NewDaddr : entry.OldDaddr;
        Assert.Equal(end, Assert.Single(_space.Sad.All).Id.Daddr);
        Assert.Equal(end, Assert.Single(_space.Spd.Ordered(PolicyDirection.Out).ToArray()).TemplateArray[0].Id.Daddr);
    }

    /// <summary>20 of IP, 8 and an IV of 8 of ESP, 4 of AGGFRAG; and 8 of UDP.</summary>
    [Theory]
    [InlineData(0, false, 0)]
    [InlineData(40, false, -(int)Errno.EINVAL)]
    [InlineData(41, false, 0)]
    [InlineData(48, true, -(int)Errno.EINVAL)]
    [InlineData(49, true, 0)]
    public void An_IPTFS_packet_is_longer_than_its_headers(uint size, bool encapsulated, int expected)
    {
        XfrmUserSaInfo info = Info("10.0.0.2", 0x1000);
        info.Mode = (byte)XfrmMode.Iptfs;
        (XfrmAttr, byte[])[] encap = encapsulated ? [(XfrmAttr.Encap, Client.Bytes(new XfrmEncapTmpl { EncapType = XfrmEncapTmpl.EspInUdp }))] : [];
        Assert.Equal(expected, Add(XfrmMsg.NewSa, info, [(XfrmAttr.SaDir, [(byte)SaDirection.Out]), (XfrmAttr.IptfsPktSize, Client.Bytes(size)), .. encap]));
    }

    /// <summary>A tunnel of a policy for what leaves has to be there; IP-TFS was given that rule late (6.18.15 has it not, 6.18.44 has).</summary>
    [Theory]
    [InlineData(XfrmMode.Tunnel, -(int)Errno.EINVAL)]
    [InlineData(XfrmMode.Beet, -(int)Errno.EINVAL)]
    [InlineData(XfrmMode.Iptfs, -(int)Errno.EINVAL)]
    [InlineData(XfrmMode.Transport, 0)]
    public void A_tunnel_of_what_leaves_may_not_be_optional(XfrmMode mode, int expected)
    {
        XfrmUserSaInfo info = Info("10.0.0.2", 0x1000);
        PolicyTemplate template = new() { Id = info.Id, Family = AddressFamily.Inet, Saddr = info.Saddr, ModeByte = (byte)mode, Optional = 1 };
        Assert.Equal(expected, _client.Request(Client.Message(XfrmMsg.NewPolicy, NlMsgFlags.Ack, ++_seq,
            new XfrmUserPolicyInfo { Sel = Client.Selector(1), Lft = XfrmLifetimeCfg.Unlimited(), Dir = (byte)PolicyDirection.Out }, (XfrmAttr.Tmpl, Client.Bytes(template)))));
    }

    [Fact]
    public void An_ACQUIRE_for_a_CPU_that_cannot_be_is_refused_first() => Assert.Equal(-(int)Errno.EINVAL,
        _client.Request(Client.Message(XfrmMsg.Acquire, NlMsgFlags.Ack, ++_seq, new XfrmUserAcquire { Policy = new XfrmUserPolicyInfo { Sel = Client.Selector(1) } },
            (XfrmAttr.SaPcpu, Client.Bytes(uint.MaxValue - 1)))));

    [Fact]
    public void Policies_of_closed_sockets_are_gone_for_who_counts_or_lists_them()
    {
        ulong[] closed = [];
        _space.ClosedSockets = sockets => [.. sockets.Intersect(closed)];
        XfrmUserPolicyInfo info = new() { Sel = Client.Selector(1), Lft = XfrmLifetimeCfg.Unlimited(), Dir = (byte)PolicyDirection.Out };
        foreach (ulong socket in new ulong[] { 7, 8 })
        {
            Assert.Equal(Errno.None, NetlinkXfrmFamily.CompileSocketPolicy(AddressFamily.Inet, 17, Client.Bytes(info), out Policy? policy));
            _space.Spd.SetSocketPolicy(socket, PolicyDirection.Out, policy);
        }
        Assert.Equal(2, Listed());
        closed = [7];
        Assert.Equal(1, Listed());
        closed = [7, 8];
        Assert.Equal(0, _client.Request(Client.Message(XfrmMsg.GetSpdInfo, NlMsgFlags.Ack, ++_seq, 0u)));
        Assert.Equal(0, _space.Spd.SocketPolicyCount(PolicyDirection.Out));

        int Listed()
        {
            Assert.Equal(Errno.None, _client.Send(Client.DumpPolicies(++_seq)));
            int policies = 0;
            while (_client.Receive() is { } part)
            {
                policies += part.Length / 188;   // messages of 16 + 168 + 4 + 6 bytes, or DONE
            }
            return policies;
        }
    }

    [Fact]
    public void The_AEVENT_timer_runs_from_the_start_and_without_news_lets_the_next_packet_tell()
    {
        Add(XfrmMsg.NewSa, Info("10.0.0.2", 0x1000), [(XfrmAttr.EtimerThresh, Client.Bytes(SecurityAssociation.JiffiesPerSecond))]);
        NextEvent();
        SecurityAssociation sa = _space.Sad.All.Single();
        Move(sa);
        Pass(TimeSpan.FromSeconds(1.1));
        Assert.Equal((ushort)XfrmMsg.NewAe, NextType());   // moved while it ran
        Pass(TimeSpan.FromSeconds(1.1));
        Assert.Null(_events.Receive());                      // nothing new
        Move(sa);
        Assert.Equal((ushort)XfrmMsg.NewAe, NextType());   // so the first news is told at once
        Move(sa);
        Assert.Null(_events.Receive());
    }

    [Fact]
    public void An_AEVENT_tells_the_number_that_made_it_due_however_late_it_is_told()
    {
        Add(XfrmMsg.NewSa, Info("10.0.0.2", 0x1000), [(XfrmAttr.ReplayThresh, Client.Bytes(2u))]);
        NextEvent();
        SecurityAssociation sa = _space.Sad.All.Single();
        for (int i = 0; i < 4; i++)
        {
            Assert.True(sa.Replay.TryReserve(1, out _));
            _space.PostReplay(sa);
        }
        _space.RunPending();
        Assert.Equal((ushort)XfrmMsg.NewAe, NextType());   // of the second packet
        Assert.Equal((ushort)XfrmMsg.NewAe, NextType());   // of the fourth
        Assert.Null(_events.Receive());
    }

    [Theory]
    [InlineData(IpProtocol.Routing)]
    [InlineData(IpProtocol.DstOpts)]
    public void Mobility_headers_have_no_SPI(byte proto)
    {
        XfrmUserSaInfo info = Info("2001:db8::2", 1);
        (info.Id.Proto, info.Family, info.Mode) = (proto, AddressFamily.Inet6, (byte)XfrmMode.RouteOptimization);
        byte[] careOf = new byte[16];
        Assert.Equal(-(int)Errno.EINVAL, _client.Request(Client.Message(XfrmMsg.NewSa, NlMsgFlags.Ack, ++_seq, info, [(XfrmAttr.CoAddr, careOf)])));
        info.Id.Spi = default;
        Assert.Equal(0, _client.Request(Client.Message(XfrmMsg.NewSa, NlMsgFlags.Ack, ++_seq, info, [(XfrmAttr.CoAddr, careOf)])));
    }

    private void Move(SecurityAssociation sa)
    {
        Assert.True(sa.Replay.TryReserve(1, out _));
        _space.PostReplay(sa);
        _space.RunPending();
    }

    private void Pass(TimeSpan time)
    {
        _time.Advance(time);
        _space.RunPending();
    }

    private static XfrmUserSaInfo Info(string daddr, uint spi) => new()
    {
        Id = new XfrmId { Daddr = XfrmAddress.Parse(daddr), Spi = Be32.From(spi), Proto = IpProtocol.Esp },
        Saddr = XfrmAddress.Parse("10.0.0.1"),
        Lft = XfrmLifetimeCfg.Unlimited(),
        Family = AddressFamily.Inet,
        Mode = (byte)XfrmMode.Tunnel,
        Reqid = 1,
    };

    private static byte[] Aead =>
        [.. Client.Bytes(new XfrmAlgoAuth { Name = XfrmAlgName.From("rfc4106(gcm(aes))"), KeyLen = EspKeyBytes * 8, IcvLen = 128 }), .. new byte[EspKeyBytes]];

    private int Add(XfrmMsg type, in XfrmUserSaInfo info, (XfrmAttr, byte[])[] attributes) =>
        _client.Request(Client.Message(type, NlMsgFlags.Ack, ++_seq, info, [(XfrmAttr.AlgAead, Aead), .. attributes]));

    /// <summary>The error number of the answer, and its text where it has one and nothing else.</summary>
    private (int Errno, string? Text) Ask(byte[] request)
    {
        const int FirstTlv = 4;
        Assert.Equal(Errno.None, _client.Set(NetlinkOption.ExtAck, 1));
        Assert.Equal(Errno.None, _client.Set(NetlinkOption.CapAck, 1));
        Assert.Equal(Errno.None, _client.Send(request));
        byte[] answer = _client.Receive()!;
        Assert.Equal(NlMsgType.Error, Client.TypeOf(answer));
        ReadOnlySpan<byte> tlv = answer.AsSpan(NlMsgHdr.Size + sizeof(int) + NlMsgHdr.Size);
        return (MemoryMarshal.Read<int>(answer.AsSpan(NlMsgHdr.Size)), tlv.IsEmpty ? null : System.Text.Encoding.ASCII.GetString(tlv[FirstTlv..]).TrimEnd('\0'));
    }

    private int Allocate(string daddr, uint spi, byte proto)
    {
        XfrmUserSaInfo info = Info(daddr, 0);
        info.Id.Proto = proto;
        return _client.Request(Client.Message(XfrmMsg.AllocSpi, NlMsgFlags.Ack, ++_seq, new XfrmUserSpiInfo { Info = info, Min = spi, Max = spi }));
    }

    private int Delete(string daddr, uint spi) => _client.Request(Client.Message(XfrmMsg.DelSa, NlMsgFlags.Ack, ++_seq, new XfrmUserSaId
    {
        Daddr = XfrmAddress.Parse(daddr),
        Spi = Be32.From(spi),
        Family = AddressFamily.Inet,
        Proto = IpProtocol.Esp,
    }));

    private string NextEvent() => Convert.ToHexString(_events.Receive()!);

    private ushort NextType() => MemoryMarshal.Read<NlMsgHdr>(_events.Receive()).Type;
}
