using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Replay;

namespace Xfrmd.Netlink.Tests;

/// <summary>A program with one NETLINK_XFRM socket.</summary>
internal sealed class Client : IDisposable
{
    public const int SolNetlink = 270, Raw = 3, Protocol = 6;
    private readonly Caller _caller;

    public Client(NetlinkXfrmFamily family, XfrmNamespace space, int tgid = 1000, bool netAdmin = true, int capacity = int.MaxValue, bool netBroadcast = true)
    {
        _caller = new Caller(tgid, netAdmin, netBroadcast);
        Buffer = new ListBuffer(capacity);
        Assert.Equal(Errno.None, family.Create(Raw, Protocol, space, Buffer, _caller, out IProtocolSocket? socket));
        Socket = socket!;
    }

    public IProtocolSocket Socket { get; }

    public ListBuffer Buffer { get; }

    public SockAddrNl Name
    {
        get
        {
            byte[] address = new byte[SockAddrNl.Size];
            Assert.Equal(Errno.None, Socket.GetSocketName(address, out int written));
            Assert.Equal(SockAddrNl.Size, written);
            return MemoryMarshal.Read<SockAddrNl>(address);
        }
    }

    public Errno Bind(uint pid, uint groups) => Socket.Bind(Bytes(new SockAddrNl { Family = SockAddrNl.AfNetlink, Pid = pid, Groups = groups }), _caller);

    public Errno Connect(uint pid) => Socket.Connect(Bytes(new SockAddrNl { Family = SockAddrNl.AfNetlink, Pid = pid }), _caller);

    public Errno Set(NetlinkOption option, int value) => Socket.SetOption(SolNetlink, (int)option, Bytes(value), _caller);

    public Errno Send(ReadOnlySpan<byte> datagram) => Socket.Send(datagram, [], _caller);

    public Errno SendTo(ReadOnlySpan<byte> datagram, uint pid, uint groups) =>
        Socket.Send(datagram, Bytes(new SockAddrNl { Family = SockAddrNl.AfNetlink, Pid = pid, Groups = groups }), _caller);

    public byte[]? Receive() => Buffer.Receive(Socket);

    /// <summary>Sends a request and gives the error number that it was acknowledged with; other answers are passed over.</summary>
    public int Request(ReadOnlySpan<byte> request)
    {
        Assert.Equal(Errno.None, Send(request));
        int? error = null;
        while (Receive() is { } answer)
        {
            if (TypeOf(answer) == NlMsgType.Error)
            {
                error = MemoryMarshal.Read<int>(answer.AsSpan(NlMsgHdr.Size));
            }
        }
        Assert.NotNull(error);
        return error.Value;
    }

    public void Dispose() => Socket.Dispose();

    public static ushort TypeOf(byte[] message) => MemoryMarshal.Read<NlMsgHdr>(message).Type;

    public static byte[] Bytes<T>(T value) where T : unmanaged => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)).ToArray();

    /// <summary>A message with a fixed body and attributes.</summary>
    public static byte[] Message<T>(XfrmMsg type, NlMsgFlags flags, uint seq, T body, params (XfrmAttr Type, byte[] Payload)[] attributes) where T : unmanaged
    {
        List<byte> bytes = [.. new byte[NlMsgHdr.Size], .. Bytes(body)];
        Pad(bytes);
        foreach ((XfrmAttr attribute, byte[] payload) in attributes)
        {
            bytes.AddRange(Bytes((ushort)(payload.Length + 4)));
            bytes.AddRange(Bytes((ushort)attribute));
            bytes.AddRange(payload);
            Pad(bytes);
        }
        byte[] message = [.. bytes];
        MemoryMarshal.Write(message, new NlMsgHdr { Len = (uint)message.Length, Type = (ushort)type, Flags = NlMsgFlags.Request | flags, Seq = seq });
        return message;
    }

    /// <summary>NEWPOLICY of a bypass policy for one pair of hosts.</summary>
    public static byte[] NewPolicy(uint seq, uint host, XfrmMsg type = XfrmMsg.NewPolicy) => Message(type, NlMsgFlags.Ack, seq, new XfrmUserPolicyInfo
    {
        Sel = Selector(host),
        Lft = XfrmLifetimeCfg.Unlimited(),
        Dir = (byte)PolicyDirection.Out,
        Priority = 100,
    });

    public static byte[] DelPolicy(uint seq, uint host) => Message(XfrmMsg.DelPolicy, NlMsgFlags.Ack, seq, new XfrmUserPolicyId
    {
        Sel = Selector(host),
        Dir = (byte)PolicyDirection.Out,
    });

    public static byte[] DumpPolicies(uint seq) => Message(XfrmMsg.GetPolicy, NlMsgFlags.Dump, seq, new XfrmUserPolicyId());

    public static XfrmSelector Selector(uint host) => new()
    {
        Daddr = new XfrmAddress(Bytes(host)),
        Saddr = XfrmAddress.Parse("10.0.0.1"),
        Family = AddressFamily.Inet,
        PrefixlenD = 32,
        PrefixlenS = 32,
    };

    private static void Pad(List<byte> bytes)
    {
        while (bytes.Count % 4 != 0)
        {
            bytes.Add(0);
        }
    }
}
