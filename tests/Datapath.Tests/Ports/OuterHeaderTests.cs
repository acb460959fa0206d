using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Datapath.Ports;
using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;
using AddressFamily = Xfrmd.Kernel.AddressFamily;

namespace Xfrmd.Datapath.Tests.Ports;

/// <summary>What the header of a protected packet says goes through the sockets unchanged, both ways, on the kernel beneath.</summary>
public sealed class OuterHeaderTests : IDisposable
{
    private const int Timeout = 10_000, Port = 4500;
    private const uint Mark = 0x42;
    private const byte TrafficClass = 0x2A;
    private static readonly byte[] Esp = [0, 0, 16, 1, 0, 0, 0, 1, 9, 9, 9, 9];
    private readonly TestNamespace _space = new();
    private readonly List<IDisposable> _resources = [];

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("127.0.0.1", true)]
    [InlineData("::1", false)]
    [InlineData("::1", true)]
    public void Hop_limit_traffic_class_flow_label_and_mark(string host, bool inUdp)
    {
        bool v4 = !host.Contains(':');
        UdpEncapSockets sockets = new();
        UdpArrivalPort? udp = inUdp ? ShareUdp(host, sockets) : null;
        RawArrivalPort? raw = inUdp ? null : Own(new RawArrivalPort(OpenReceiver(host), FamilyOf(host), IpProtocol.Esp));
        SafeFileHandle socket = udp?.Socket ?? raw!.Socket;
        WirePort wire = new(OpenSender("127.0.0.1"), OpenSender("::1"), sockets, SteeringMarks.Default);
        foreach (byte hopLimit in (byte[])[64, 7, 255])
        {
            foreach (uint label in (uint[])[0, 0x12345])
            {
                PacketSlot packet = Packet(host, hopLimit, label, inUdp);
                wire.Add(packet, inUdp);
                wire.Flush();
                GC.KeepAlive(packet.Buffer);   // the port knows its address only
                (PacketSlot slot, Arrival arrival) = Next((IArrivalPort?)udp ?? raw!, socket);
                Assert.Equal((hopLimit, TrafficClass, v4 ? 0 : label), (arrival.HopLimit, arrival.Tos, arrival.FlowLabel));
                Assert.Equal(Mark | SteeringMarks.Default.Bypass, slot.Mark);
                Assert.Equal(Esp, slot.Span.ToArray());
            }
        }
    }

    /// <summary>What the kernel beneath lets through to a UDP socket: addresses, ports, lengths and checksums are right.</summary>
    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void A_nat_keepalive_reaches_the_port(string host)
    {
        const int OtherPort = 4501;
        IPAddress address = IPAddress.Parse(host);
        Socket receiver = Own(_space.Run(() =>
        {
            Socket socket = new(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = Timeout };
            socket.Bind(new IPEndPoint(address, OtherPort));
            return socket;
        }));
        SecurityAssociation sa = new() { Family = FamilyOf(host), Saddr = XfrmAddress.Parse(host) };
        sa.Id.Daddr = sa.Saddr;
        sa.Encap = new XfrmEncapTmpl { EncapType = XfrmEncapTmpl.EspInUdp, EncapSport = Be16.From(Port), EncapDport = Be16.From(OtherPort) };
        byte[] packet = PinnedArray.Create(UdpEncapsulation.MaxKeepalive);
        int length = UdpEncapsulation.WriteKeepalive(packet, sa);
        WirePort wire = new(OpenSender("127.0.0.1"), OpenSender("::1"), new UdpEncapSockets(), SteeringMarks.Default);
        wire.Add(new PacketSlot(packet, 0, length, 0, packet.Length), inUdp: false);
        wire.Flush();
        byte[] datagram = new byte[100];
        EndPoint sender = new IPEndPoint(address, 0);
        Assert.Equal(1, receiver.ReceiveFrom(datagram, ref sender));
        Assert.True(UdpEncapsulation.IsKeepalive(datagram.AsSpan(0, 1)));
        Assert.Equal(new IPEndPoint(address, Port), sender);
        GC.KeepAlive(packet);
    }

    [Fact]
    public void Extension_headers_that_ah_covers()
    {
        (byte, byte[])[] extensions = [(NextHeader.HopByHop, [0, 0, 1, 4, 0, 0, 0, 0]), (NextHeader.Destination, [0, 1, 0x1E, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])];
        foreach (XfrmMode mode in (XfrmMode[])[XfrmMode.Transport, XfrmMode.Tunnel])
        {
            using Link link = new(() => [Sas.Ah("hmac(sha256)", 32, 128, mode, AddressFamily.Inet6, change: sa => sa.Saddr = sa.Id.Daddr = XfrmAddress.Parse("::1"))]);
            link.WithPolicy(AddressFamily.Inet6);
            RawArrivalPort receiver = Own(new RawArrivalPort(OpenReceiver("::1", IpProtocol.Ah), AddressFamily.Inet6, IpProtocol.Ah));
            WirePort wire = new(OpenSender("127.0.0.1"), OpenSender("::1"), new UdpEncapSockets(), SteeringMarks.Default);
            byte[] inner = mode == XfrmMode.Transport ? Packets.Udp6(100, 0, extensions, "::1", "::1") : Packets.Udp6(100, 0, extensions), outer = link.Send(inner);
            byte[] pinned = PinnedArray.Create(outer.Length);
            outer.CopyTo(pinned, 0);
            wire.Add(new PacketSlot(pinned, 0, pinned.Length, 0, pinned.Length), inUdp: false);
            wire.Flush();
            GC.KeepAlive(pinned);
            (PacketSlot slot, Arrival arrival) = Next(receiver, receiver.Socket);
            Assert.True(link.Inbound.Process(ref slot, arrival, 1).Deliver, Packets.Counters(link.Receiver));
            Assert.Equal(inner, slot.Span.ToArray());
        }
    }

    public void Dispose()
    {
        _resources.ForEach(r => r.Dispose());
        _space.Dispose();
    }

    private static PacketSlot Packet(string host, byte hopLimit, uint label, bool inUdp)
    {
        byte[] address = IPAddress.Parse(host).GetAddressBytes();
        int header = address.Length == 4 ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength, udp = inUdp ? UdpView.HeaderLength : 0, length = header + udp + Esp.Length;
        byte[] packet = PinnedArray.Create(length);
        packet.AsSpan().Clear();
        byte protocol = inUdp ? NextHeader.Udp : NextHeader.Esp;
        if (address.Length == 4)
        {
            Ipv4View.Write(packet, TrafficClass, 0, Ipv4View.DontFragmentBit, hopLimit, address, address);
            Ipv4View.Complete(packet, length, protocol);
        }
        else
        {
            Ipv6View.Write(packet, TrafficClass, label, protocol, hopLimit, address, address);
            Ipv6View.Complete(packet, length);
        }
        if (inUdp)
        {
            UdpView.Write(packet.AsSpan(header), Port, Port, udp + Esp.Length);
        }
        Esp.CopyTo(packet, header + udp);
        return new PacketSlot(packet, 0, length, 0, length) { Mark = Mark };
    }

    private static (PacketSlot Slot, Arrival Arrival) Next(IArrivalPort port, SafeFileHandle socket)
    {
        for (; ; )
        {
            Assert.NotEqual(0u, new ReadyWait(socket).Wait(Timeout));
            if (port.Receive() > 0)
            {
                Assert.True(port.TryGet(0, out PacketSlot slot, out Arrival arrival, out _));
                return (slot, arrival);
            }
        }
    }

    private UdpArrivalPort ShareUdp(string host, UdpEncapSockets sockets)
    {
        IPAddress address = IPAddress.Parse(host);
        Socket owner = Own(_space.Run(() =>
        {
            Socket socket = new(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            socket.Bind(new IPEndPoint(address, Port));
            return socket;
        }));
        using SafeFileHandle duplicate = new(owner.SafeHandle.DangerousGetHandle(), ownsHandle: false);
        SafeFileHandle ours = Own(_space.Run(() => PacketSockets.TryShareUdpPort(duplicate, SteeringMarks.Default.Bypass, 1 << 20, 1 << 20))!);
        sockets.Add(new UdpEncapSockets.Entry(address.GetAddressBytes(), Port, ours, 0));
        return new UdpArrivalPort(ours, FamilyOf(host), Port);
    }

    private SafeFileHandle OpenReceiver(string host, byte protocol = IpProtocol.Esp) => _space.Run(() => PacketSockets.OpenRawReceiver(FamilyOf(host), protocol, 0, 1 << 20));

    private SafeFileHandle OpenSender(string host) => Own(_space.Run(() => PacketSockets.OpenRawSender(FamilyOf(host), SteeringMarks.Default.Bypass, 1 << 20)));

    private static ushort FamilyOf(string host) => host.Contains(':') ? AddressFamily.Inet6 : AddressFamily.Inet;

    private T Own<T>(T resource)
        where T : IDisposable
    {
        _resources.Add(resource);
        return resource;
    }
}
