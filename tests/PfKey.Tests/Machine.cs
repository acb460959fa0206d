using Microsoft.Extensions.Time.Testing;
using Xfrmd.Kernel;
using Xfrmd.Netlink;
using Xfrmd.Replay;

namespace Xfrmd.PfKey.Tests;

/// <summary>A namespace with both front doors and a clock of the test's own.</summary>
internal sealed class Machine : IDisposable
{
    private const int SockRaw = 3, PfKeyV2 = 2;
    private static readonly Caller Root = new(100, netAdmin: true);
    private readonly List<IProtocolSocket> _sockets = [];

    public Machine()
    {
        Space = new XfrmNamespace(1, Time);
        Netlink.Register(Space);
        PfKey.Register(Space);
    }

    public FakeTimeProvider Time { get; } = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

    public XfrmNamespace Space { get; }

    public NetlinkXfrmFamily Netlink { get; } = new();

    public PfKeyFamily PfKey { get; } = new();

    /// <summary>A PF_KEY socket, registered for the given types.</summary>
    public Client Open(int capacity = int.MaxValue, params byte[] registered)
    {
        ListBuffer buffer = new(capacity);
        Assert.Equal(Errno.None, PfKey.Create(SockRaw, PfKeyV2, Space, buffer, Root, out IProtocolSocket? socket));
        _sockets.Add(socket!);
        Client client = new(socket!, buffer, Root);
        foreach (byte type in registered)
        {
            client.Ask(Messages.Message(Messages.Register, type, 1));
        }
        return client;
    }

    public void Dispose()
    {
        _sockets.ForEach(s => s.Dispose());
        Space.Dispose();
    }

    internal sealed class Client(IProtocolSocket socket, ListBuffer buffer, Caller caller)
    {
        public IProtocolSocket Socket => socket;

        public Errno Send(byte[] message) => socket.Send(message, [], caller);

        public ListBuffer Buffer => buffer;

        public int Unread => buffer.Count;

        /// <summary>All that waits.</summary>
        public List<byte[]> Drain()
        {
            List<byte[]> all = [];
            while (Receive() is { } message)
            {
                all.Add(message);
            }
            return all;
        }

        public byte[]? Receive() => buffer.Receive(socket);

        /// <summary>Sends and takes all that arrives here for it.</summary>
        public List<byte[]> Ask(byte[] message)
        {
            Drain();
            Assert.Equal(Errno.None, Send(message));
            return Drain();
        }

        /// <summary>Sends what is refused with a message and says with which number.</summary>
        public Errno Refused(byte[] message)
        {
            byte[] answer = Assert.Single(Ask(message));
            Assert.Equal(16, answer.Length);
            Assert.Equal(message[1], answer[1]);
            return (Errno)Messages.ErrnoOf(answer);
        }
    }
}
