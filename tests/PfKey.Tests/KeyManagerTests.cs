using System.Buffers.Binary;
using Xfrmd.Kernel;
using static Xfrmd.PfKey.Tests.Messages;

namespace Xfrmd.PfKey.Tests;

public sealed class KeyManagerTests : IDisposable
{
    private readonly Machine _machine = new();

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void A_proposal_offers_what_the_masks_of_the_template_allow()
    {
        Machine.Client registered = _machine.Open(registered: [Esp]);
        byte[] acquire = Acquired(registered, IpProtocol.Esp, uint.MaxValue);
        byte[] proposal = ExtensionOf(acquire, 13);
        Assert.Equal(32, proposal[4]);
        (byte Auth, byte Encrypt)[] offers = [.. Combinations(proposal)];
        // Each available cipher below 32 with each authentication below 32 but null, in the order of the tables.
        byte[] auth = [2, 3, 5, 6, 7, 8, 9], encrypt = [11, 2, 3, 6, 7, 12, 22, 13];
        Assert.Equal(encrypt.SelectMany(e => auth.Select(a => (a, e))), offers);
        Assert.Equal(8 + (72 * offers.Length), proposal.Length);
    }

    [Fact]
    public void A_proposal_for_AH_has_no_ciphers_and_IPComp_has_none_at_all()
    {
        Machine.Client registered = _machine.Open(registered: [Esp]);
        Assert.Equal([(3, 0), (5, 0)], Combinations(ExtensionOf(Acquired(registered, IpProtocol.Ah, (1 << 3) | (1 << 5)), 13)).Select(c => ((int)c.Auth, (int)c.Encrypt)));
        Assert.DoesNotContain(ExtensionsOf(Acquired(registered, IpProtocol.Comp, uint.MaxValue)), e => e.Type == 13);
    }

    [Fact]
    public void The_number_of_an_acquire_finds_its_larval_SA_and_an_SA_made_for_it_replaces_it()
    {
        Machine.Client registered = _machine.Open(registered: [Esp]);
        byte[] acquire = Acquired(registered, IpProtocol.Esp, 0);
        uint seq = SeqOf(acquire);
        Assert.NotEqual(0u, seq);
        Assert.Equal(0u, PidOf(acquire));
        Assert.Equal(1, _machine.Space.Sad.Count);
        byte[] reply = Assert.Single(registered.Ask(Message(GetSpi, Esp, seq, Source("10.0.0.1"), Destination("10.0.0.2"), SpiRange(0x500, 0x500))));
        Assert.Equal(0x500u, SpiOf(reply));
        Assert.Equal(1, _machine.Space.Sad.Count);
        registered.Ask(AddEsp(seq, 0x600));
        Assert.Equal([0x600u], registered.Ask(Message(Dump, Esp, 1)).Select(SpiOf));
    }

    [Fact]
    public void A_negative_acquire_stops_asking_until_the_larval_SA_has_gone()
    {
        Machine.Client registered = _machine.Open(registered: [Esp]);
        byte[] refusal = Message(Messages.Acquire, Esp, SeqOf(Acquired(registered, IpProtocol.Esp, 0)));
        refusal[2] = (byte)Errno.EINVAL;
        Assert.Empty(registered.Ask(refusal));
        Assert.Equal(SaState.Error, _machine.Space.Sad.All.Single().State);
        Assert.Equal(Errno.EOPNOTSUPP, registered.Refused(Message(Messages.Acquire, Esp, 1, Source("10.0.0.1"))));
    }

    [Fact]
    public void A_limit_is_told_to_the_registered_with_the_one_lifetime_that_was_reached()
    {
        Machine.Client registered = _machine.Open(registered: [Esp]), other = _machine.Open();
        other.Ask(AddEsp(1, 0x1000, more: [Lifetime(3, added: 3), Lifetime(4, added: 2)]));
        registered.Drain();
        _machine.Time.Advance(TimeSpan.FromSeconds(1));
        _machine.Time.Advance(TimeSpan.FromSeconds(1));
        byte[] soft = Assert.Single(registered.Drain());
        Assert.Equal((Expire, 0u, 0u), (TypeOf(soft), SeqOf(soft), PidOf(soft)));
        Assert.Equal(new ushort[] { 1, 4, 2, 5, 6, 7, 19 }, ExtensionsOf(soft).Select(e => e.Type));
        Assert.Equal(2, ExtensionOf(soft, 1)[9]);
        _machine.Time.Advance(TimeSpan.FromSeconds(1));
        byte[] hard = Assert.Single(registered.Drain());
        Assert.Equal(new ushort[] { 1, 3, 2, 5, 6, 7, 19 }, ExtensionsOf(hard).Select(e => e.Type));
        Assert.Empty(other.Drain());
        Assert.Equal(0, _machine.Space.Sad.Count);
    }

    [Fact]
    public void A_new_mapping_has_the_old_address_as_source_and_the_new_one_as_destination()
    {
        Machine.Client registered = _machine.Open(registered: [Esp]);
        registered.Ask(AddEsp(77, 0x1000, more: [NatT(2, 4500, 4501)]));
        lock (_machine.Space.Gate)
        {
            _machine.Space.KeyManagers.NewMapping(_machine.Space.Sad.All.Single(), XfrmAddress.Parse("10.9.9.9"), Be16.From(5000));
        }
        byte[] mapping = Assert.Single(registered.Drain());
        Assert.Equal((NewMapping, 77u, 0u, Esp), (TypeOf(mapping), SeqOf(mapping), PidOf(mapping), mapping[3]));
        Assert.Equal(new ushort[] { 1, 5, 21, 6, 22 }, ExtensionsOf(mapping).Select(e => e.Type));
        Assert.Equal(Source("10.0.0.1"), ExtensionOf(mapping, 5));
        Assert.Equal(Destination("10.9.9.9"), ExtensionOf(mapping, 6));
        Assert.Equal(4500, BinaryPrimitives.ReadUInt16BigEndian(ExtensionOf(mapping, 21).AsSpan(4)));
        Assert.Equal(5000, BinaryPrimitives.ReadUInt16BigEndian(ExtensionOf(mapping, 22).AsSpan(4)));
    }

    [Fact]
    public void A_policy_shows_one_reference_more_during_its_first_second()
    {
        Machine.Client client = _machine.Open();
        client.Ask(AddPolicy(1));
        Assert.Equal(2, Assert.Single(client.Ask(Message(SpdDump, Unspec, 2)))[6]);
        _machine.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, Assert.Single(client.Ask(Message(SpdDump, Unspec, 3)))[6]);
    }

    [Fact]
    public void A_policy_made_here_accepts_SAs_of_every_algorithm()
    {
        Machine.Client client = _machine.Open();
        client.Ask(Message(SpdAdd, Unspec, 1, Source("10.0.0.2", 32, 255), Destination("10.0.0.1", 32, 255), Messages.Policy(2, In, requests: [Request(50, Transport, 2)])));
        client.Ask(AddEsp(2, 0x1000, "10.0.0.2", "10.0.0.1"));
        Flow flow = new() { Saddr = XfrmAddress.Parse("10.0.0.2"), Daddr = XfrmAddress.Parse("10.0.0.1"), Family = AddressFamily.Inet, Proto = IpProtocol.Udp };
        int verified = 0;
        Assert.True(InboundPolicyCheck.Allows(_machine.Space, flow, PolicyDirection.In, [_machine.Space.Sad.All.Single()], null, ref verified, out _));
        Assert.False(InboundPolicyCheck.Allows(_machine.Space, flow, PolicyDirection.In, [], null, ref verified, out _));
    }

    [Fact]
    public void A_policy_that_mixes_families_claims_more_than_it_has_as_in_Linux()
    {
        Machine.Client client = _machine.Open();
        PolicyTemplate beet = new() { Family = AddressFamily.Inet6, ModeByte = (byte)XfrmMode.Beet };
        beet.Id.Proto = IpProtocol.Esp;
        lock (_machine.Space.Gate)
        {
            XfrmSelector selector = new() { Family = AddressFamily.Inet };
            _machine.Space.Spd.Insert(new Policy { Selector = selector, Direction = PolicyDirection.Out, TemplateArray = [beet] }, exclusive: true);
        }
        byte[] record = Assert.Single(client.Ask(Message(SpdDump, Unspec, 1)));
        Assert.Equal(record.Length + 24, 8 * BinaryPrimitives.ReadUInt16LittleEndian(record.AsSpan(4)));
    }

    [Theory]
    [InlineData(2, 2, 2, 1)]
    [InlineData(0, 2, 2, 0)]
    [InlineData(2, 0, 2, 0)]
    [InlineData(2, 2, 0, 0)]
    public void A_migration_is_told_where_every_family_of_it_is_known(ushort old, ushort @new, ushort managers, int messages)
    {
        Machine.Client client = _machine.Open();
        XfrmAddress here = XfrmAddress.Parse("10.0.0.1"), there = XfrmAddress.Parse("10.0.0.2");
        MigrateEntry entry = new() { OldSaddr = here, OldDaddr = there, OldFamily = old, NewSaddr = there, NewDaddr = here, NewFamily = @new, Proto = IpProtocol.Esp, Mode = XfrmMode.Tunnel };
        lock (_machine.Space.Gate)
        {
            _machine.Space.KeyManagers.Migrate(new XfrmSelector { Family = AddressFamily.Inet }, PolicyDirection.Out, PolicyType.Main, [entry], new KmAddress(here, there, 0, managers), null);
        }
        Assert.Equal(messages, client.Unread);
    }

    private static IEnumerable<(byte Auth, byte Encrypt)> Combinations(byte[] proposal) =>
        Enumerable.Range(0, (proposal.Length - 8) / 72).Select(i => (proposal[8 + (72 * i)], proposal[9 + (72 * i)]));

    private byte[] Acquired(Machine.Client registered, byte proto, uint masks)
    {
        PolicyTemplate template = new() { Family = AddressFamily.Inet, Aalgos = masks, Ealgos = masks, Calgos = masks };
        template.Id.Proto = proto;
        XfrmSelector selector = new() { Family = AddressFamily.Inet, Proto = IpProtocol.Udp };
        Policy policy = new() { Selector = selector, Direction = PolicyDirection.Out, TemplateArray = [template] };
        Flow flow = new()
        {
            Saddr = XfrmAddress.Parse("10.0.0.1"),
            Daddr = XfrmAddress.Parse("10.0.0.2"),
            Family = AddressFamily.Inet,
            Proto = IpProtocol.Udp,
        };
        lock (_machine.Space.Gate)
        {
            _machine.Space.Spd.Insert(policy, exclusive: false);
            _machine.Space.Resolver.Acquire(policy, flow, null);
        }
        return registered.Drain()[^1];
    }
}
