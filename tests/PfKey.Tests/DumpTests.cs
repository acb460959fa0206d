using Xfrmd.Crypto;
using Xfrmd.Kernel;
using static Xfrmd.PfKey.Tests.Messages;

namespace Xfrmd.PfKey.Tests;

public sealed class DumpTests : IDisposable
{
    private readonly Machine _machine = new();

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void Records_are_counted_and_the_last_has_number_0()
    {
        Machine.Client client = Filled(5);
        Assert.Equal([1u, 2, 3, 4, 0], client.Ask(Message(Dump, Unspec, 9)).Select(SeqOf));
    }

    [Fact]
    public void A_dump_stops_at_two_thirds_and_goes_on_at_one()
    {
        Filled(20);
        Machine.Client slow = _machine.Open(capacity: 9);
        slow.Send(Message(Dump, Unspec, 1));
        Assert.True(slow.Socket.AwaitsReceiveSpace);
        // The seventh passes two thirds; with three left there is room again.
        Assert.Equal(7, slow.Unread);
        List<byte[]> read = [.. Enumerable.Range(0, 3).Select(_ => slow.Receive()!)];
        Assert.Equal(4, slow.Unread);
        read.Add(slow.Receive()!);
        Assert.Equal(7, slow.Unread);
        read.AddRange(slow.Drain());
        Assert.Equal([.. Enumerable.Range(1, 19).Select(n => (uint)n), 0u], read.Select(SeqOf));
        Assert.False(slow.Socket.AwaitsReceiveSpace);
    }

    [Fact]
    public void A_second_dump_is_refused_while_one_runs()
    {
        Machine.Client owner = Filled(20), slow = _machine.Open(capacity: 9);
        slow.Send(Message(Dump, Unspec, 1));
        Assert.Equal(Errno.None, slow.Send(Message(Dump, Unspec, 2)));
        Assert.Equal(Errno.None, slow.Send(Message(SpdDump, Unspec, 3)));
        List<byte[]> read = slow.Drain();
        Assert.Equal([(Dump, 2u), (SpdDump, 3u)], read.Where(m => ErrnoOf(m) == (byte)Errno.EBUSY).Select(m => (TypeOf(m), SeqOf(m))));
        Assert.Equal(20, read.Count(m => ErrnoOf(m) == 0));
        Assert.Equal(20, owner.Ask(Message(Dump, Unspec, 4)).Count);
    }

    [Fact]
    public void What_goes_while_a_dump_waits_still_leaves_it_an_end()
    {
        Machine.Client owner = Filled(5), slow = _machine.Open(capacity: 1);
        slow.Send(Message(Dump, Unspec, 1));
        owner.Ask(Message(Flush, Unspec, 2));
        List<byte[]> read = slow.Drain();
        // One had been queued and one was held when the rest went.
        Assert.Equal([1u, 0], read.Select(SeqOf));
        Assert.All(read, m => Assert.Equal(0, ErrnoOf(m)));
    }

    [Fact]
    public void An_empty_dump_is_an_error_and_a_mode_that_PF_KEY_has_no_number_for_ends_one()
    {
        Machine.Client client = _machine.Open();
        Assert.Equal(Errno.ENOENT, client.Refused(Message(Dump, Esp, 1)));
        Assert.Equal(Errno.ENOENT, client.Refused(Message(SpdDump, Unspec, 1)));
        lock (_machine.Space.Gate)
        {
            SecurityAssociation strange = new() { Family = AddressFamily.Inet, Mode = XfrmMode.Iptfs, State = SaState.Valid };
            strange.Id.Proto = IpProtocol.Esp;
            strange.Id.Spi = Be32.From(0x7777);
            _machine.Space.Sad.Insert(strange);
        }
        client.Ask(AddEsp(1, 0x1000));
        List<byte[]> answers = client.Ask(Message(Dump, Esp, 2));
        // The held record goes out with the negative number cut to a byte; then comes the error itself.
        Assert.Equal([unchecked((byte)-22), (byte)22], answers.Select(ErrnoOf));
        Assert.Equal([0u, 2u], answers.Select(SeqOf));
    }

    [Fact]
    public void A_key_whose_bits_wrap_to_no_bytes_is_not_shown()
    {
        Machine.Client client = _machine.Open();
        lock (_machine.Space.Gate)
        {
            // What netlink makes of alg_key_len 0xffffffff.
            SecurityAssociation odd = new() { Family = AddressFamily.Inet, State = SaState.Valid, Crypt = new SaCrypt("ecb(cipher_null)", new SecretKey([]), -1) };
            odd.Id.Proto = IpProtocol.Esp;
            odd.Id.Spi = Be32.From(0x7777);
            _machine.Space.Sad.Insert(odd);
        }
        byte[] record = Assert.Single(client.Ask(Message(Dump, Esp, 1)));
        Assert.DoesNotContain(ExtensionsOf(record), e => e.Type == 9);
    }

    [Fact]
    public void Policies_of_sockets_are_dumped_with_directions_4_and_5()
    {
        Machine.Client client = _machine.Open();
        foreach (byte direction in new[] { In, Out })
        {
            lock (_machine.Space.Gate)
            {
                Assert.Equal(Errno.None, _machine.PfKey.CompileSocketPolicy(_machine.Space, AddressFamily.Inet, IpIpsecPolicy, Messages.Policy(4, direction), out Policy? policy));
                _machine.Space.Spd.SetSocketPolicy(99, policy!.Direction, policy);
            }
        }
        Assert.Equal([5, 4], client.Ask(Message(SpdDump, Unspec, 1)).Select(m => (int)ExtensionOf(m, 18)[6]));
    }

    private Machine.Client Filled(uint count)
    {
        Machine.Client client = _machine.Open();
        for (uint i = 0; i < count; i++)
        {
            client.Ask(AddEsp(i, 0x1000 + i));
        }
        return client;
    }
}
