using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Ports;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Tests.Ports;

/// <summary>How ESP and IKE on one port come to two programs, on the kernel beneath.</summary>
public sealed class UdpSharingTests : IDisposable
{
    private const int Timeout = 2000;
    private static readonly byte[] Ike = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6], Esp = [0, 0, 16, 1, 0, 0, 0, 1, 9, 9, 9, 9], Keepalive = [0xFF], Short = [0, 0, 16, 1, 0, 0, 0, 1];
    private readonly TestNamespace _space = new();

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void Ike_stays_with_its_owner_and_esp_comes_to_us(string host)
    {
        using Socket owner = Bind(host);
        using SafeFileHandle ours = Share(owner)!;
        using Socket sender = _space.Run(() => new Socket(owner.AddressFamily, SocketType.Dgram, ProtocolType.Udp));
        IPEndPoint port = new(IPAddress.Parse(host), 4500);
        for (int i = 0; i < 20; i++)
        {
            foreach (byte[] datagram in (byte[][])[Ike, Esp, Keepalive, Short])
            {
                sender.SendTo(datagram, port);
            }
        }
        byte[] buffer = new byte[100];
        for (int i = 0; i < 40; i++)
        {
            Assert.Equal(i % 2 == 0 ? Ike : Short, buffer[..owner.Receive(buffer)]);
        }
        Assert.Equal(0, owner.Available);
        List<byte[]> received = Receive(ours, host, 40);
        Assert.Equal(20, received.Count(d => d.SequenceEqual(Esp)));
        Assert.Equal(20, received.Count(d => d.SequenceEqual(Keepalive)));
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void One_message_carries_many_datagrams_both_ways(string host)
    {
        using Socket owner = Bind(host);
        using SafeFileHandle ours = Share(owner)!;
        byte[] memory = PinnedArray.Create(50_000);
        Array.Fill(memory, (byte)7);
        SendBatch batch = new(4, 64);
        batch.Begin(IPAddress.Parse(host).GetAddressBytes(), 4500);
        batch.SetSource(IPAddress.Parse(host).GetAddressBytes());
        for (int i = 0; i < 30; i++)
        {
            batch.Append(memory, i * 1400, i == 29 ? 500 : 1400);
        }
        batch.SetSegmentSize(1400);
        Assert.Equal(1, batch.Send(ours, 0));
        GC.KeepAlive(memory);

        UdpArrivalPort port = new(ours, FamilyOf(host), 4500);
        Wait(ours);
        Assert.Equal(1, port.Receive());
        Assert.True(port.TryGet(0, out PacketSlot slot, out Arrival arrival, out int segmentSize));
        Assert.Equal(1400, segmentSize);
        Assert.Equal((29 * 1400) + 500, slot.Length);
        Assert.Equal(4500, arrival.Sport);
        Assert.Equal(XfrmAddress.Parse(host), arrival.Daddr);
        Assert.Equal(XfrmAddress.Parse(host), arrival.Saddr);
        Assert.Equal(XfrmEncapTmpl.EspInUdp, arrival.EncapType);
    }

    [Fact]
    public void A_port_whose_owner_is_gone_is_free_again_once_we_let_go()
    {
        Socket owner = Bind("127.0.0.1");
        SafeFileHandle ours = Share(owner)!;
        owner.Dispose();
        Assert.Equal(SocketError.AddressAlreadyInUse, Assert.Throws<SocketException>(() => Bind("127.0.0.1")).SocketErrorCode);
        ours.Dispose();
        Bind("127.0.0.1").Dispose();
    }

    [Fact]
    public void An_owner_that_comes_back_shares_again()
    {
        for (int i = 0; i < 3; i++)
        {
            using Socket owner = Bind("127.0.0.1");
            using SafeFileHandle ours = Share(owner)!;
            using Socket sender = _space.Run(() => new Socket(owner.AddressFamily, SocketType.Dgram, ProtocolType.Udp));
            sender.SendTo(Esp, new IPEndPoint(IPAddress.Loopback, 4500));
            sender.SendTo(Ike, new IPEndPoint(IPAddress.Loopback, 4500));
            byte[] buffer = new byte[100];
            Assert.Equal(Ike, buffer[..owner.Receive(buffer)]);
            Assert.Equal(Esp, Assert.Single(Receive(ours, "127.0.0.1", 1)));
        }
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void Where_a_port_cannot_be_shared_its_esp_is_seen_beside_the_owner(string host)
    {
        using Socket owner = Bind(host);
        using RawArrivalPort port = new(_space.Run(() => PacketSockets.OpenRawUdpReceiver(FamilyOf(host), 4500, 0, 1 << 20)), FamilyOf(host), IpProtocol.Udp);
        using Socket sender = _space.Run(() => new Socket(owner.AddressFamily, SocketType.Dgram, ProtocolType.Udp));
        sender.SendTo(Ike, new IPEndPoint(IPAddress.Parse(host), 4500));
        sender.SendTo(Esp, new IPEndPoint(IPAddress.Parse(host), 4501));
        sender.SendTo(Esp, new IPEndPoint(IPAddress.Parse(host), 4500));

        Wait(port.Socket);
        Assert.Equal(1, port.Receive());
        Assert.True(port.TryGet(0, out PacketSlot slot, out Arrival arrival, out _));
        Assert.Equal(Esp, slot.Span.ToArray());
        Assert.Equal(((IPEndPoint)sender.LocalEndPoint!).Port, arrival.Sport);
        Assert.Equal(XfrmAddress.Parse(host), arrival.Daddr);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void A_raw_packet_arrives_whole_however_long(string host)
    {
        byte[] address = IPAddress.Parse(host).GetAddressBytes();
        using RawArrivalPort port = new(_space.Run(() => PacketSockets.OpenRawReceiver(FamilyOf(host), IpProtocol.Esp, 0, 1 << 20)), FamilyOf(host), IpProtocol.Esp);
        using SafeFileHandle sender = _space.Run(() => PacketSockets.OpenRawSender(FamilyOf(host), 0, 1 << 20));
        int header = address.Length == 4 ? 20 : 40;
        int[] lengths = [100, 2048, 2049, 30_000, 60_000];
        SendBatch batch = new(8, 8);
        List<byte[]> packets = [];   // the batch knows addresses only
        foreach (int length in lengths)
        {
            byte[] packet = PinnedArray.Create(length);
            packets.Add(packet);
            for (int i = 0; i < length; i++)
            {
                packet[i] = (byte)(i * 7);
            }
            if (header == 20)
            {
                Wire.Ipv4View.Write(packet, 0, 0, 0, 64, address, address);
                Wire.Ipv4View.Complete(packet, length, IpProtocol.Esp);
            }
            else
            {
                Wire.Ipv6View.Write(packet, 0, 0, IpProtocol.Esp, 64, address, address);
                Wire.Ipv6View.Complete(packet, length);
            }
            batch.Begin(address, 0);
            batch.Append(packet, 0, length);
        }
        Assert.Equal(lengths.Length, batch.Send(sender, 0));
        GC.KeepAlive(packets);

        // They come when the loopback device gets to it: one batch or several, and in another order where the sender changed its processor.
        List<int> arrived = [];
        while (arrived.Count < lengths.Length)
        {
            Wait(port.Socket);
            int count = port.Receive();
            for (int n = 0; n < count; n++)
            {
                Assert.True(port.TryGet(n, out PacketSlot slot, out Arrival arrival, out _));
                arrived.Add(header + slot.Length);
                Assert.Equal(XfrmAddress.Parse(host), arrival.Daddr);
                Assert.True(slot.FreeBefore >= PacketSlot.Headroom && slot.FreeBehind >= PacketSlot.Tailroom);
                for (int i = 0; i < slot.Length; i++)
                {
                    Assert.Equal((byte)((i + header) * 7), slot.Span[i]);
                }
            }
        }
        Assert.Equal(lengths, arrived.Order());
    }

    public void Dispose() => _space.Dispose();

    private static ushort FamilyOf(string host) => host.Contains(':') ? Kernel.AddressFamily.Inet6 : Kernel.AddressFamily.Inet;

    private static void Wait(SafeFileHandle socket) => Assert.NotEqual(0u, new ReadyWait(socket).Wait(Timeout));

    private static List<byte[]> Receive(SafeFileHandle ours, string host, int count)
    {
        UdpArrivalPort port = new(ours, FamilyOf(host), 4500);
        List<byte[]> received = [];
        while (received.Count < count)
        {
            Wait(ours);
            int messages = port.Receive();
            for (int i = 0; i < messages; i++)
            {
                Assert.True(port.TryGet(i, out PacketSlot slot, out _, out int size));
                for (int at = 0; at < slot.Length; at += size == 0 ? slot.Length : size)
                {
                    received.Add(slot.Span[at..Math.Min(slot.Length, size == 0 ? slot.Length : at + size)].ToArray());
                }
            }
        }
        Assert.Equal(count, received.Count);
        return received;
    }

    private Socket Bind(string host) => _space.Run(() =>
    {
        IPAddress any = host.Contains(':') ? IPAddress.IPv6Any : IPAddress.Any;
        Socket socket = new(any.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = Timeout };
        if (any.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6)
        {
            socket.DualMode = false;
        }
        try
        {
            socket.Bind(new IPEndPoint(any, 4500));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
        return socket;
    });

    private SafeFileHandle? Share(Socket owner)
    {
        using SafeFileHandle duplicate = new(owner.SafeHandle.DangerousGetHandle(), ownsHandle: false);
        return _space.Run(() => PacketSockets.TryShareUdpPort(duplicate, 0, 1 << 20, 1 << 20));
    }
}
