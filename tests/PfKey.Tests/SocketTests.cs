using Xfrmd.Crypto;
using Xfrmd.Kernel;
using Xfrmd.Replay;
using static Xfrmd.PfKey.Tests.Messages;

namespace Xfrmd.PfKey.Tests;

public sealed class SocketTests : IDisposable
{
    private readonly Machine _machine = new();

    public void Dispose() => _machine.Dispose();

    [Theory]
    [InlineData(false, 2, 3, Errno.EPERM)]
    [InlineData(true, 2, 3, Errno.ESOCKTNOSUPPORT)]
    [InlineData(true, 3, 3, Errno.EPROTONOSUPPORT)]
    [InlineData(true, 3, 2, Errno.None)]
    public void The_right_is_checked_before_the_type_and_the_type_before_the_protocol(bool netAdmin, int type, int protocol, Errno expected) =>
        Assert.Equal(expected, _machine.PfKey.Create(type, protocol, _machine.Space, new ListBuffer(), new Caller(1, netAdmin), out _));

    [Fact]
    public void A_socket_has_no_address_and_no_options()
    {
        IProtocolSocket socket = _machine.Open().Socket;
        Caller caller = new(1, netAdmin: true);
        Assert.Equal(Errno.EOPNOTSUPP, socket.Bind([15, 0], caller));
        Assert.Equal(Errno.EOPNOTSUPP, socket.Connect([15, 0], caller));
        Assert.Equal(Errno.EOPNOTSUPP, socket.GetSocketName(new byte[16], out _));
        Assert.Equal(Errno.EOPNOTSUPP, socket.GetPeerName(new byte[16], out _));
        Assert.Equal(Errno.EOPNOTSUPP, socket.SetOption(270, 1, new byte[4], caller));
        Assert.Equal(Errno.EOPNOTSUPP, socket.GetOption(270, 1, new byte[4], out _));
        Assert.Equal(0, socket.GetReceiveAddress(new byte[16], 0));
    }

    [Fact]
    public void A_message_larger_than_the_send_buffer_is_refused_by_send()
    {
        Machine.Client client = _machine.Open();
        Assert.Equal(Errno.EMSGSIZE, client.Send(new byte[212992 - 31]));
        Assert.Equal(Errno.EINVAL, client.Send(new byte[212992 - 32]));
        Assert.Empty(client.Drain());
    }

    [Fact]
    public void What_the_caller_tells_is_told_to_all()
    {
        Machine.Client sender = _machine.Open(), other = _machine.Open(), registered = _machine.Open(registered: [Ah]);
        byte[] told = Assert.Single(sender.Ask(AddEsp(7, 0x1000)));
        Assert.Equal((Add, 0, 7u, Pid), (TypeOf(told), ErrnoOf(told), SeqOf(told), PidOf(told)));
        Assert.Equal(told, Assert.Single(other.Drain()));
        Assert.Equal(told, Assert.Single(registered.Drain()));
    }

    [Fact]
    public void A_fault_refuses_loses_an_answer_or_what_all_are_told()
    {
        Machine.Client sender = _machine.Open(), other = _machine.Open();
        FaultSubject add = new(IsPfKey: true, IsEvent: false, Add), get = add with { Type = Get };
        _machine.Space.Faults.Add(new FaultRule("SADB_ADD:ENOMEM@1", add, FaultKind.Refuse) { Errno = Errno.ENOMEM, Last = 1 });
        _machine.Space.Faults.Add(new FaultRule("event/SADB_ADD:lose@1", add with { IsEvent = true }, FaultKind.Lose) { Last = 1 });
        _machine.Space.Faults.Add(new FaultRule("SADB_GET:lose@1", get, FaultKind.Lose) { Last = 1 });
        _machine.Space.Faults.Add(new FaultRule("SADB_DUMP:lose@1", add with { Type = Dump }, FaultKind.Lose) { Last = 1 });
        Assert.Equal(Errno.ENOMEM, sender.Refused(AddEsp(1, 0x1000)));
        Assert.Empty(sender.Ask(AddEsp(2, 0x1000)));
        Assert.Empty(other.Drain());
        byte[] ask = Message(Get, Esp, 3, Sa(0x1000), Source("10.0.0.1"), Destination("10.0.0.2"));
        Assert.Empty(sender.Ask(ask));
        Assert.Single(sender.Ask(ask));
        Assert.Empty(sender.Ask(Message(Dump, Unspec, 4)));
        Assert.Single(sender.Ask(Message(Dump, Unspec, 5)));
        Assert.Single(sender.Ask(AddEsp(6, 0x1001)));
        Assert.Single(other.Drain());
    }

    [Fact]
    public void Answers_go_to_the_sender_alone()
    {
        Machine.Client sender = _machine.Open(), other = _machine.Open(registered: [Esp]);
        sender.Ask(AddEsp(1, 0x1000));
        other.Drain();
        Assert.Single(sender.Ask(Message(Get, Esp, 2, Sa(0x1000), Source("10.0.0.1"), Destination("10.0.0.2"))));
        Assert.Single(sender.Ask(Message(Dump, Unspec, 3)));
        Assert.Single(sender.Ask(Message(GetSpi, Esp, 4, Source("10.0.0.1"), Destination("10.0.0.2"))));
        Assert.Equal(Errno.EEXIST, sender.Refused(AddEsp(5, 0x1000)));
        Assert.Empty(other.Drain());
    }

    [Fact]
    public void A_registration_is_answered_to_all_who_registered_and_ends_with_the_socket()
    {
        Machine.Client first = _machine.Open(registered: [Esp]), second = _machine.Open();
        Assert.Single(second.Ask(Message(Register, Ah, 9)));
        Assert.Equal(9u, SeqOf(Assert.Single(first.Drain())));
        Assert.Equal(Errno.EEXIST, second.Refused(Message(Register, Ah, 10)));
        Assert.Empty(first.Drain());
        Assert.True(_machine.Space.KeyManagers.ListensForAcquire);
        first.Socket.Dispose();
        second.Buffer.IsClosed = true;   // of which the socket has not heard yet
        Assert.False(_machine.Space.KeyManagers.ListensForAcquire);
    }

    [Fact]
    public void A_flush_is_answered_to_the_sender_and_then_told_to_all_if_anything_went()
    {
        Machine.Client sender = _machine.Open(), other = _machine.Open();
        Assert.Single(sender.Ask(Message(Flush, Esp, 1)));
        Assert.Empty(other.Drain());
        sender.Ask(AddEsp(2, 0x1000));
        other.Drain();
        Assert.Equal(2, sender.Ask(Message(Flush, Esp, 3)).Count);
        Assert.Single(other.Drain());
    }

    [Fact]
    public void A_promiscuous_socket_sees_requests_and_gets_twice_what_is_meant_for_it()
    {
        Machine.Client curious = _machine.Open(), sender = _machine.Open();
        curious.Ask(Message(Promisc, 1, 1));
        byte[] request = AddEsp(2, 0x1000);
        byte[] told = Assert.Single(sender.Ask(request));
        Assert.Equal([request, told, told], curious.Drain());
        sender.Ask(Message(Dump, Ah, 3));
        Assert.Equal([Message(Dump, Ah, 3), .. new byte[][] { [2, Dump, (byte)Errno.ENOENT, Ah, 2, 0, 0, 0, 3, 0, 0, 0, 0x92, 0x10, 0, 0] }], curious.Drain());
    }

    [Fact]
    public void A_longer_promisc_message_is_relayed_as_it_is()
    {
        Machine.Client sender = _machine.Open(), other = _machine.Open();
        byte[] message = Message(Promisc, 77, 1, Extension(17, 1, 2, 3, 4));
        message[2] = 5;
        Assert.Equal([message], sender.Ask(message));
        Assert.Equal([message], other.Drain());
        Assert.Equal(Errno.EINVAL, sender.Refused(Message(Promisc, 2, 1)));
    }

    [Fact]
    public void A_full_queue_loses_what_comes_and_nobody_is_told()
    {
        Machine.Client sender = _machine.Open(), slow = _machine.Open(capacity: 2);
        for (uint spi = 0x1000; spi < 0x1005; spi++)
        {
            Assert.Single(sender.Ask(AddEsp(spi, spi)));
        }
        Assert.Equal([0x1000u, 0x1001u], slow.Drain().Select(SpiOf));
        Assert.Equal(Errno.None, slow.Socket.TakePendingError());
    }

    [Fact]
    public void A_closed_socket_hears_nothing_and_cannot_send()
    {
        Machine.Client gone = _machine.Open(), sender = _machine.Open();
        gone.Socket.Dispose();
        sender.Ask(AddEsp(1, 0x1000));
        Assert.Empty(gone.Drain());
        Assert.Equal(Errno.EBADF, gone.Send(Message(Dump, Unspec, 1)));
    }
}
