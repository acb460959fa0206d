using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests;

/// <summary>Whatever bytes come, nothing is thrown, and what is not authentic changes nothing.</summary>
public sealed class HostileBytesTests
{
    private const int Rounds = 4000;

    private static readonly Func<SecurityAssociation[]>[] Chains =
    [
        () => [Sas.Gcm(XfrmMode.Tunnel)],
        () => [Sas.Gcm(XfrmMode.Transport)],
        () => [Sas.Gcm(XfrmMode.Beet, change: static sa => sa.Selector.Family = AddressFamily.Inet)],
        () => [Sas.Gcm(XfrmMode.Beet, AddressFamily.Inet6, change: static sa => sa.Selector.Family = AddressFamily.Inet6)],
        () => [Sas.Authenc("cbc(aes)", 16, "hmac(sha1)", 20, 96, XfrmMode.Tunnel, AddressFamily.Inet6)],
        () => [Sas.Authenc("ecb(cipher_null)", 0, "hmac(md5)", 16, 96, XfrmMode.Transport, AddressFamily.Inet6)],
        () => [Sas.Ah("hmac(sha1)", 20, 96, XfrmMode.Transport), Sas.Comp(XfrmMode.Tunnel)],
        () => [Sas.Ah("hmac(sha256)", 32, 128, XfrmMode.Tunnel, AddressFamily.Inet6), Sas.Comp(XfrmMode.Transport, AddressFamily.Inet6)],
    ];

    public static TheoryData<int> Numbers => [.. Enumerable.Range(0, Chains.Length)];

    [Theory, MemberData(nameof(Numbers))]
    public void Random_bytes_never_throw(int number)
    {
        Random random = new(number);
        using Link link = new(Chains[number]);
        for (int i = 0; i < Rounds; i++)
        {
            byte[] bytes = new byte[random.Next(120)];
            random.NextBytes(bytes);
            Shape(random, bytes, link.ReceiverSas[random.Next(link.ReceiverSas.Length)]);
            link.Receive(bytes);
            link.Inbound.Allows(bytes, 0);
            PacketSlot slot = Packets.Slot(bytes);
            link.Outbound.Transform(ref slot, link.Bundle, 1);
            slot = Packets.Slot(bytes);
            link.Inbound.Process(ref slot, Arrival.Udp(AddressFamily.Inet, link.ReceiverSas[0].Saddr, link.ReceiverSas[0].Id.Daddr, 4500, 0), 1);
            IcmpErrors.TooBig(bytes, 1280, bytes.Length > 4 && bytes[0] >> 4 == 4 ? new byte[4] : new byte[16], new byte[IcmpErrors.MaxLength]);
            OutboundFragments fragments = new(bytes, 68, link.Identifiers);
            byte[] room = new byte[68];
            for (int parts = 0; fragments.TryNext(room, out _); parts++)
            {
                Assert.True(parts < 120);
            }
        }
    }

    [Theory, MemberData(nameof(Numbers))]
    public void A_changed_packet_changes_nothing(int number)
    {
        Random random = new(number);
        using Link link = new(Chains[number]);
        bool isInner6 = link.SenderSas[0].Family == AddressFamily.Inet6;
        byte[] packet = isInner6 ? Packets.Udp6(60, saddr: Sas.Left6, daddr: Sas.Right6) : Packets.Udp4(60, saddr: Sas.Left4, daddr: Sas.Right4);
        bool isEsp = link.SenderSas[^1].Id.Proto == IpProtocol.Esp;
        int header = link.SenderSas[^1].Family == AddressFamily.Inet ? 20 : 40;
        for (int i = 0; i < Rounds; i++)
        {
            byte[] wire = link.Send(packet);
            wire[random.Next(header, wire.Length)] ^= (byte)(1 << random.Next(8));
            if (random.Next(4) == 0)
            {
                wire = Packets.WithPayload(wire, wire[header..random.Next(header, wire.Length)], wire[header == 20 ? 9 : 6]);
            }
            byte[]? received = link.Receive(wire);
            Assert.True(received is null || !isEsp);
        }
        if (isEsp)
        {
            Assert.Equal(0ul, link.ReceiverSas[0].CurrentLifetime.Packets);
            Assert.Equal(0u, link.ReceiverSas[0].Replay.Snapshot().Seq);
        }
    }

    /// <summary><c>esp_input</c>: what has room for an ICV has it verified, though nothing is left for a payload; what has not is not counted as forged.</summary>
    [Theory]
    [InlineData(8 + 8 + 16, 1u)]
    [InlineData(8 + 8 + 15, 0u)]
    [InlineData(8 + 8, 0u)]
    public void An_ICV_is_verified_where_there_is_one(int length, uint failures)
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        byte[] wire = link.Send(Packets.Udp4(60));
        Assert.Null(link.Receive(Packets.WithPayload(wire, wire[20..(20 + length)], IpProtocol.Esp)));
        Assert.Equal("InStateProtoError=1", Packets.Counters(link.Receiver));
        Assert.Equal(failures, link.ReceiverSas[0].Stats.IntegrityFailed);
    }

    /// <summary>What UDP loses by itself no policy is asked about: here none would let it pass.</summary>
    [Theory]
    [InlineData(27, "")]        // no whole UDP header
    [InlineData(200, "")]       // less than the header says
    [InlineData(328, "InNoPols=1")]
    public void A_datagram_that_is_not_whole_meets_no_policy(int length, string counters)
    {
        using Link link = new(() => [Sas.Gcm(XfrmMode.Tunnel)]);
        byte[] inner = Packets.Udp4(300)[..length];
        Wire.Ipv4View.Complete(inner, inner.Length, Wire.NextHeader.Udp);
        Assert.Null(link.Receive(link.Send(inner)));
        Assert.Equal(counters, Packets.Counters(link.Receiver));
    }

    /// <summary>The next header says what came out of a tunnel; IP loses what is something else.</summary>
    [Fact]
    public void What_is_no_packet_of_the_family_that_ESP_names_is_lost()
    {
        using Link link = new(() => [Sas.Authenc("ecb(cipher_null)", 0, null, 0, 0, XfrmMode.Tunnel)]);
        byte[] wire = link.Send(Packets.Udp6(60));
        Assert.Equal(Wire.NextHeader.Ipv6, wire[^1]);
        wire[^1] = Wire.NextHeader.IpIp;
        Assert.Null(link.Receive(wire));
        Assert.Equal("", Packets.Counters(link.Receiver));
    }

    [Theory, MemberData(nameof(Numbers))]
    public void Authentic_nonsense_never_throws(int number)
    {
        Random random = new(number);
        using Link link = new(Chains[number]);
        if (link.SenderSas[0].Esp is null)
        {
            return;
        }
        using Crypto.EspContext context = link.SenderSas[0].Esp!.CreateContext();
        int iv = link.SenderSas[0].Esp!.IvLength, icv = link.SenderSas[0].Esp!.IcvLength, block = Math.Max(4, link.SenderSas[0].Esp!.BlockSize);
        byte[] nextHeaders = [0, 4, 6, 17, 41, 43, 44, 50, 51, 58, 59, 60, 94, 108, 144, 255];
        for (int i = 1; i < Rounds; i++)
        {
            int plain = random.Next(1, 12) * block;
            byte[] esp = new byte[8 + iv + plain + icv];
            random.NextBytes(esp);
            EspView.Write(esp, link.SenderSas[0].Id.Spi.Value, (uint)i);
            esp[8 + iv + plain - 1] = nextHeaders[random.Next(nextHeaders.Length)];
            esp[8 + iv + plain - 2] = (byte)random.Next(8);
            esp[8 + iv] = (byte)((random.Next(2) == 0 ? 0x45 : 0x60) | random.Next(16));
            context.Seal(esp, false, 0);
            byte[] shell = link.SenderSas[0].Family == AddressFamily.Inet ? Packets.Udp4(0, saddr: Sas.Left4, daddr: Sas.Right4) : Packets.Udp6(0, saddr: Sas.Left6, daddr: Sas.Right6);
            link.Receive(Packets.WithPayload(shell, esp, NextHeader.Esp));
        }
        Assert.Equal(0u, link.ReceiverSas[0].Stats.IntegrityFailed);
        Assert.Equal((ulong)(Rounds - 1), link.ReceiverSas[0].CurrentLifetime.Packets + (ulong)link.Receiver.Statistics[XfrmCounter.InStateProtoError]);
    }

    private static void Shape(Random random, byte[] bytes, SecurityAssociation sa)
    {
        bool isIpv4 = sa.Family == AddressFamily.Inet;
        int header = isIpv4 ? 20 : 40;
        if (bytes.Length < header || random.Next(8) == 0)
        {
            return;
        }
        if (isIpv4)
        {
            int words = random.Next(4) == 0 ? random.Next(5, 16) : 5;
            bytes[0] = (byte)(0x40 | words);
            (bytes[2], bytes[3], bytes[6], bytes[7], bytes[9]) = (0, (byte)bytes.Length, 0, 0, sa.Id.Proto);
            sa.Id.Daddr.Bytes[..4].CopyTo(bytes.AsSpan(16));
            header = words * 4;
        }
        else
        {
            bytes[0] = 0x60;
            (bytes[4], bytes[5], bytes[6]) = (0, (byte)(bytes.Length - header), random.Next(4) == 0 ? (byte)random.Next(64) : sa.Id.Proto);
            sa.Id.Daddr.Bytes.CopyTo(bytes.AsSpan(24));
        }
        if (bytes.Length >= header + 8 && random.Next(4) != 0)
        {
            switch (sa.Id.Proto)
            {
                case IpProtocol.Esp:
                    EspView.Write(bytes.AsSpan(header), sa.Id.Spi.Value, (uint)random.Next());
                    break;
                case IpProtocol.Ah when bytes.Length >= header + 12:
                    AhView.Write(bytes.AsSpan(header), (byte)random.Next(256), Pmtu.AhLength(sa), sa.Id.Spi.Value, (uint)random.Next());
                    break;
                case IpProtocol.Comp:
                    IpCompView.Write(bytes.AsSpan(header), (byte)random.Next(256), (ushort)sa.Id.Spi.Value);
                    break;
            }
        }
    }
}
