using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using Xfrmd.Crypto;
using Xfrmd.Datapath;
using Xfrmd.Datapath.Engine;
using Xfrmd.Datapath.Ports;
using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;
using Xfrmd.Wire;

namespace Xfrmd.Fuzz;

/// <summary>
/// Any bytes from the wire or out of the TUN device: dropped or carried, never an exception; and what is not authentic changes neither
/// sequence numbers nor what an SA has counted.
/// </summary>
public sealed class DatapathFuzzTests
{
    private const string Left4 = "192.0.2.1", Right4 = "192.0.2.2", Left6 = "2001:db8::1", Right6 = "2001:db8::2";
    private const int Headroom = PacketSlot.Headroom, Room = 66_000;
    private static readonly XfrmMode[] Modes = [XfrmMode.Tunnel, XfrmMode.Transport, XfrmMode.Beet, XfrmMode.Iptfs];
    private static readonly byte[] Protocols = [0, 4, 6, 17, 41, 43, 44, 50, 51, 59, 60, 94, 108, 144, 255];

    /// <summary>How long each runs; <c>make fuzz</c> asks for more.</summary>
    private static TimeSpan Budget => TimeSpan.FromSeconds(
        int.TryParse(Environment.GetEnvironmentVariable("XFRMD_FUZZ_SECONDS"), CultureInfo.InvariantCulture, out int seconds) ? seconds : 4);

    [Fact]
    public void Authentic_payloads_of_any_bytes_are_survived()
    {
        Random random = new(11);
        Run(random, (inbound, sas) =>
        {
            SecurityAssociation sa = sas[random.Next(sas.Count)];
            byte[] payload = Payload(random);
            Receive(random, inbound, sa, Seal(sa, payload, (uint)random.Next(1, int.MaxValue), Protocols[random.Next(Protocols.Length)], random.Next(8)));
        });
    }

    [Fact]
    public void What_is_not_authentic_changes_no_SA()
    {
        Random random = new(12);
        Run(random, (inbound, sas) =>
        {
            SecurityAssociation sa = sas[random.Next(sas.Count)];
            byte[] esp = Seal(sa, Payload(random), (uint)random.Next(1, int.MaxValue), Protocols[random.Next(Protocols.Length)], random.Next(8));
            // The SPI stays: the packet comes to the SA.
            esp[random.Next(4, esp.Length)] ^= (byte)(1 << random.Next(8));
            if (random.Next(4) == 0)
            {
                esp = esp[..random.Next(4, esp.Length)];
            }
            (ReplayState replay, XfrmLifetimeCur lifetime) = (sa.Replay.Snapshot(), sa.CurrentLifetime);
            Assert.False(Receive(random, inbound, sa, esp).Deliver);
            ReplayState after = sa.Replay.Snapshot();
            Assert.Equal((replay.Seq, replay.SeqHi), (after.Seq, after.SeqHi));
            Assert.Equal(replay.Bitmap, after.Bitmap);
            Assert.Equal((lifetime.Bytes, lifetime.Packets), (sa.CurrentLifetime.Bytes, sa.CurrentLifetime.Packets));
        });
    }

    [Fact]
    public void Whole_packets_of_any_bytes_are_survived()
    {
        Random random = new(13);
        Run(random, (inbound, sas) =>
        {
            byte[] packet = Packet(random, Protocols[random.Next(Protocols.Length)]);
            PacketSlot slot = Slot(packet);
            if (Arrival.TryParse(ref slot, out Arrival arrival))
            {
                inbound.Process(ref slot, arrival, 1);
            }
            while (inbound.TryTake(out _, out _))
            {
            }
            inbound.Allows(packet, 0);
            OutboundFragments fragments = new(packet, 68 + random.Next(100), new IpIdentifiers());
            byte[] room = new byte[200];
            for (int parts = 0; fragments.TryNext(room, out _); parts++)
            {
                Assert.True(parts < Room);
            }
        });
    }

    [Fact]
    public void The_device_may_give_any_packet_with_any_vnet_header()
    {
        Random random = new(14);
        using XfrmNamespace space = new(1, TimeProvider.System);
        List<SecurityAssociation> sas = Sas(space, outbound: true);
        HostileTun tun = new();
        using OutboundWorker worker = new(space, tun, new NoWire(), new Paths(random), new IpIdentifiers(), default, 0);
        long start = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(start) < Budget)
        {
            byte[] packet = Packet(random, Protocols[random.Next(Protocols.Length)]);
            byte[] bytes = new byte[VnetHeader.Size + packet.Length];
            if (random.Next(3) == 0)
            {
                random.NextBytes(bytes.AsSpan(0, VnetHeader.Size));
            }
            else if (random.Next(2) == 0)
            {
                VnetHeader header = new()
                {
                    Flags = (byte)random.Next(3),
                    GsoType = (byte)(random.Next(6) | (random.Next(4) == 0 ? VnetHeader.GsoEcn : 0)),
                    HeaderLength = (ushort)random.Next(120),
                    GsoSize = (ushort)random.Next(random.Next(2) == 0 ? 8 : 1500),
                    ChecksumStart = (ushort)random.Next(80),
                    ChecksumOffset = (ushort)random.Next(20),
                };
                MemoryMarshal.Write(bytes, in header);
            }
            packet.CopyTo(bytes.AsSpan(VnetHeader.Size));
            tun.Next = bytes[..random.Next(random.Next(5) == 0 ? 0 : bytes.Length - 1, bytes.Length + 1)];
            Do(() => worker.RunOnce(), bytes);
        }
        Assert.Contains(sas, static sa => sa.CurrentLifetime.Packets > 0);
    }

    [Fact]
    public void A_udp_socket_may_give_any_message_cut_into_datagrams_of_any_size()
    {
        Random random = new(15);
        using XfrmNamespace space = new(1, TimeProvider.System);
        List<SecurityAssociation> sas = Sas(space, outbound: false, inUdp: true);
        HostileTun tun = new();
        HostilePort port = new(random, sas);
        using InboundWorker worker = new(space, new Everywhere(random), _ => tun, 0);
        long start = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(start) < Budget)
        {
            Do(() =>
            {
                worker.RunOnce(port);
                worker.Expire();
            }, port.Last);
        }
        Assert.All(sas, static sa => Assert.True(sa.CurrentLifetime.Packets > 0));
    }

    private static void Run(Random random, Action<Inbound, List<SecurityAssociation>> once)
    {
        using XfrmNamespace space = new(1, TimeProvider.System);
        List<SecurityAssociation> sas = Sas(space, outbound: false);
        using Inbound inbound = new(space, new Everywhere(random));
        long start = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(start) < Budget)
        {
            once(inbound, sas);
        }
    }

    private static InboundResult Receive(Random random, Inbound inbound, SecurityAssociation sa, byte[] esp)
    {
        PacketSlot slot = Slot(esp);
        // Without its outer header, as a socket may give it, or with it.
        Arrival arrival = sa.Family == AddressFamily.Inet6
            ? Arrival.Raw6(IpProtocol.Esp, sa.Saddr, sa.Id.Daddr, (byte)random.Next(256), 64)
            : Arrival.Udp(sa.Family, sa.Saddr, sa.Id.Daddr, 4500, (byte)random.Next(256)) with { EncapType = 0 };
        if (sa.Family == AddressFamily.Inet && random.Next(2) == 0)
        {
            byte[] packet = new byte[Ipv4View.MinHeaderLength + esp.Length];
            Ipv4View.Write(packet, (byte)random.Next(256), 1, 0, 64, sa.Saddr.Bytes, sa.Id.Daddr.Bytes);
            Ipv4View.Complete(packet, packet.Length, NextHeader.Esp);
            esp.CopyTo(packet, Ipv4View.MinHeaderLength);
            slot = Slot(packet);
            Assert.True(Arrival.TryParse(ref slot, out arrival));
        }
        InboundResult result = default;
        PacketSlot given = slot;
        Do(() => result = inbound.Process(ref given, arrival, 1), esp);
        while (inbound.TryTake(out _, out _))
        {
        }
        return result;
    }

    private static void Do(Action act, byte[] bytes)
    {
        try
        {
            act();
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException("bytes " + Convert.ToHexStringLower(bytes), exception);
        }
    }

    private static PacketSlot Slot(byte[] bytes)
    {
        byte[] buffer = new byte[Headroom + Math.Max(Room, bytes.Length) + PacketSlot.Tailroom];
        bytes.CopyTo(buffer, Headroom);
        return new PacketSlot(buffer, Headroom, bytes.Length, 0, buffer.Length);
    }

    private static byte[] Payload(Random random)
    {
        byte[] payload = random.Next(3) switch
        {
            0 => new byte[random.Next(100)],
            1 => Packet(random, Protocols[random.Next(Protocols.Length)]),
            _ => [(byte)random.Next(2), 0, 0, (byte)random.Next(60), .. Packet(random, 17), .. Packet(random, 6)],   // IP-TFS
        };
        if (payload.Length > 0 && random.Next(3) == 0)
        {
            payload[random.Next(Math.Min(payload.Length, 48))] = (byte)random.Next(256);
        }
        return payload;
    }

    /// <summary>An IP packet that may be right, wrong or cut.</summary>
    private static byte[] Packet(Random random, byte protocol)
    {
        byte[] packet = new byte[random.Next(1, 240)];
        random.NextBytes(packet);
        bool isIpv4 = random.Next(2) == 0;
        int header = isIpv4 ? Ipv4View.MinHeaderLength : Ipv6View.HeaderLength;
        if (packet.Length < header || random.Next(8) == 0)
        {
            return packet;
        }
        if (isIpv4)
        {
            Ipv4View.Write(packet, packet[1], 7, random.Next(4) == 0 ? (ushort)random.Next(65536) : (ushort)0, 64, XfrmAddress.Parse(Left4).Bytes, XfrmAddress.Parse(Right4).Bytes);
            packet[0] = (byte)(0x40 | Math.Min(15, random.Next(4) == 0 ? random.Next(16) : 5));
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)(random.Next(8) == 0 ? random.Next(65536) : packet.Length));
            packet[9] = protocol;
        }
        else
        {
            Ipv6View.Write(packet, packet[1], 5, protocol, 64, XfrmAddress.Parse(Left6).Bytes, XfrmAddress.Parse(Right6).Bytes);
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)(random.Next(8) == 0 ? random.Next(65536) : packet.Length - header));
            if (packet.Length > header + 1 && random.Next(2) == 0)
            {
                (packet[header], packet[header + 1]) = (Protocols[random.Next(Protocols.Length)], (byte)random.Next(4));
            }
        }
        return packet;
    }

    private static byte[] Seal(SecurityAssociation sa, byte[] payload, uint sequence, byte next, int padding)
    {
        using EspContext context = sa.Esp!.CreateContext();
        int header = EspView.HeaderLength + sa.Esp.IvLength, plain = (payload.Length + padding + 2 + 3) & ~3;
        byte[] esp = new byte[header + plain + sa.Esp.IcvLength];
        EspView.Write(esp, sa.Id.Spi.Value, sequence);
        payload.CopyTo(esp, header);
        esp[header + plain - 2] = (byte)(plain - payload.Length - 2);
        esp[header + plain - 1] = next;
        context.Seal(esp, false, 0);
        return esp;
    }

    /// <summary>A tunnel, transport, BEET and IP-TFS SA over both families, and policies that let all through.</summary>
    private static List<SecurityAssociation> Sas(XfrmNamespace space, bool outbound, bool inUdp = false)
    {
        List<SecurityAssociation> sas = [];
        lock (space.Gate)
        {
            foreach (ushort family in (ushort[])[AddressFamily.Inet, AddressFamily.Inet6])
            {
                foreach (XfrmMode mode in Modes)
                {
                    SecurityAssociation sa = new() { Family = family, Mode = mode, Flags = SaFlags.AfUnspec, Reqid = (uint)mode + 1 };
                    (sa.Saddr, sa.Id.Daddr) = family == AddressFamily.Inet ? (XfrmAddress.Parse(Left4), XfrmAddress.Parse(Right4)) : (XfrmAddress.Parse(Left6), XfrmAddress.Parse(Right6));
                    sa.Id.Proto = IpProtocol.Esp;
                    sa.Id.Spi = Be32.From(0x1000u + (uint)sas.Count);
                    sa.Aead = new SaAead("rfc4106(gcm(aes))", new SecretKey(new byte[20]), 160, 128);
                    sa.Iptfs = mode == XfrmMode.Iptfs ? new SaIptfs() : null;
                    sa.Encap = inUdp ? new XfrmEncapTmpl { EncapType = XfrmEncapTmpl.EspInUdp, EncapSport = Be16.From(4500), EncapDport = Be16.From(4500) } : null;
                    sa.Selector.Family = mode == XfrmMode.Beet ? family : AddressFamily.Unspec;
                    sa.SetReplay(new ReplayState { Window = outbound ? 0u : 32u });
                    Assert.True(SaInitializer.Initialize(sa).IsOk);
                    Assert.True(space.Sad.Add(sa).IsOk);
                    sas.Add(sa);
                }
                if (outbound)
                {
                    Protect(space, family, sas);
                }
            }
        }
        return sas;
    }

    // Each upper protocol goes through another SA.
    private static void Protect(XfrmNamespace space, ushort family, List<SecurityAssociation> sas)
    {
        byte[] protocols = [17, 6, 4, 0];
        for (int i = 0; i < Modes.Length; i++)
        {
            SecurityAssociation sa = sas[^(Modes.Length - i)];
            PolicyTemplate template = new() { Family = family, ModeByte = (byte)sa.Mode, Reqid = sa.Reqid, Aalgos = uint.MaxValue, Ealgos = uint.MaxValue, Calgos = uint.MaxValue };
            template.Id.Proto = IpProtocol.Esp;
            if (sa.Mode != XfrmMode.Transport)
            {
                (template.Id.Daddr, template.Saddr) = (sa.Id.Daddr, sa.Saddr);
            }
            XfrmSelector selector = default;
            (selector.Family, selector.Proto) = (family, protocols[i]);
            space.Spd.Insert(new Policy { Selector = selector, Direction = PolicyDirection.Out, Priority = (uint)i, TemplateArray = [template] }, exclusive: true);
        }
    }

    /// <summary>Messages of authentic datagrams, or of any bytes, that are said to be cut somewhere.</summary>
    private sealed class HostilePort(Random random, List<SecurityAssociation> sas) : IArrivalPort
    {
        private uint _sequence;

        public byte[] Last { get; private set; } = [];

        public int Receive() => random.Next(1, 8);

        public bool TryGet(int index, out PacketSlot slot, out Arrival arrival, out int segmentSize)
        {
            SecurityAssociation sa = sas[random.Next(sas.Count)];
            List<byte> message = [];
            segmentSize = 0;
            for (int i = random.Next(1, 6); i > 0; i--)
            {
                byte[] datagram = random.Next(6) == 0 ? Payload(random) : Seal(sa, Payload(random), ++_sequence, Protocols[random.Next(Protocols.Length)], random.Next(8));
                segmentSize = segmentSize == 0 ? datagram.Length : segmentSize;
                message.AddRange(datagram);
            }
            segmentSize = random.Next(4) switch { 0 => 0, 1 => random.Next(1, message.Count + 2), _ => Math.Max(segmentSize, 1) };
            Last = [.. message];
            slot = Slot(Last);
            arrival = Arrival.Udp(sa.Family, sa.Saddr, sa.Id.Daddr, (ushort)random.Next(4499, 4502), (byte)random.Next(256), (byte)random.Next(256), 4500);
            return random.Next(50) != 0;
        }
    }

    private sealed class Everywhere(Random random) : IInboundHost
    {
        public bool IsLocal(in XfrmAddress daddr, ushort family) => random.Next(2) == 0;

        public bool HasInterface(uint ifId) => false;

        public bool ChecksEachTunnel => random.Next(2) == 0;

        public bool HasTunnelDevice(ushort outerFamily, ushort innerFamily) => false;

        public Policy? SocketPolicy(in Flow flow) => null;
    }

    private sealed class Paths(Random random) : IPaths
    {
        public int OutputInterface(in XfrmAddress daddr, ushort family, uint mark) => 0;

        public int MtuTowards(in XfrmAddress daddr, ushort family, uint mark = 0) => random.Next(68, 1501);

        public int Epoch => 0;

        public bool IsHere(in XfrmAddress address, ushort family) => false;

        public XfrmAddress? SourceTowards(in XfrmAddress daddr, ushort family, uint flowMark) => null;

        public void SenderTold(in XfrmAddress daddr, ushort family, int told, int path)
        {
        }
    }

    private sealed class HostileTun : ITunPort
    {
        public byte[]? Next { get; set; }

        public int Read(byte[] pinned, int offset, int length)
        {
            if (Next is not { } bytes)
            {
                return 0;
            }
            Next = null;
            bytes.CopyTo(pinned, offset);
            return bytes.Length;
        }

        public int Write(in VnetHeader header, ReadOnlySpan<PacketPart> parts, uint mark) => 0;
    }

    private sealed class NoWire : IWirePort
    {
        public int TooBigCount { get; private set; }

        public void Add(in PacketSlot packet, bool inUdp)
        {
            if (packet.Span[0] == 0x46)
            {
                TooBigCount++;   // now and then a path is asked for anew
            }
        }

        public void Flush()
        {
        }
    }
}
