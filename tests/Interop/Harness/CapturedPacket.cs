using System.Buffers.Binary;
using System.Net;

namespace Xfrmd.Interop.Harness;

/// <summary>One Ethernet frame of a capture, as far as a scenario asks.</summary>
public sealed record CapturedPacket
{
    public const byte Icmp = 1, Tcp = 6, Udp = 17, Esp = 50, Icmp6 = 58;
    private const int EthernetHeader = 14, Ip4Header = 20, Ip6Header = 40, UdpHeader = 8;
    private const ushort Ip4 = 0x0800, Arp = 0x0806, Ip6 = 0x86dd, EspInUdpPort = 4500;

    /// <summary>Seconds since the epoch.</summary>
    public double Time { get; private init; }

    /// <summary>Octets on the wire without the Ethernet header.</summary>
    public int Length { get; private init; }

    public IPAddress? Source { get; private init; }

    public IPAddress? Destination { get; private init; }

    public byte Protocol { get; private init; }

    public ushort SourcePort { get; private init; }

    public ushort DestinationPort { get; private init; }

    public bool IsFirstFragment { get; private init; } = true;

    public bool IsNeighbourDiscovery { get; private init; }

    public bool IsUdpEsp { get; private init; }

    /// <summary>A NAT keepalive: one octet (RFC 3948 section 2.3).</summary>
    public bool IsKeepalive { get; private init; }

    /// <summary>The security parameters index, of ESP in either form.</summary>
    public uint Spi { get; private init; }

    /// <summary>For whom an ARP packet asks.</summary>
    public IPAddress? ArpTarget { get; private init; }

    public static CapturedPacket Parse(ReadOnlySpan<byte> frame, int wireLength, double time)
    {
        CapturedPacket packet = new() { Time = time, Length = wireLength - EthernetHeader };
        if (frame.Length < EthernetHeader)
        {
            return packet;
        }
        ReadOnlySpan<byte> body = frame[EthernetHeader..];
        return BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) switch
        {
            Arp when body.Length >= 28 => packet with { ArpTarget = new IPAddress(body.Slice(24, 4)) },
            Ip4 when body.Length >= Ip4Header => ParseIp4(packet, body),
            Ip6 when body.Length >= Ip6Header => ParseIp6(packet, body),
            _ => packet,
        };
    }

    public override string ToString() => $"{Time:F6} {Source} > {Destination} protocol {Protocol} ports {SourcePort} {DestinationPort} length {Length}";

    private static CapturedPacket ParseIp4(CapturedPacket packet, ReadOnlySpan<byte> ip)
    {
        packet = packet with
        {
            Source = new IPAddress(ip.Slice(12, 4)),
            Destination = new IPAddress(ip.Slice(16, 4)),
            IsFirstFragment = (BinaryPrimitives.ReadUInt16BigEndian(ip[6..]) & 0x1fff) == 0,
        };
        int header = (ip[0] & 15) * 4;
        return ip.Length >= header ? ParseTransport(packet, ip[9], ip[header..]) : packet;
    }

    private static CapturedPacket ParseIp6(CapturedPacket packet, ReadOnlySpan<byte> ip)
    {
        packet = packet with { Source = new IPAddress(ip.Slice(8, 16)), Destination = new IPAddress(ip.Slice(24, 16)) };
        byte next = ip[6];
        ReadOnlySpan<byte> rest = ip[Ip6Header..];
        while (next is 0 or 43 or 44 or 60 && rest.Length >= 8)
        {
            int length = next == 44 ? 8 : (rest[1] + 1) * 8;
            if (next == 44)
            {
                packet = packet with { IsFirstFragment = (BinaryPrimitives.ReadUInt16BigEndian(rest[2..]) & 0xfff8) == 0 };
            }
            next = rest[0];
            rest = rest[Math.Min(length, rest.Length)..];
        }
        return ParseTransport(packet, next, rest);
    }

    private static CapturedPacket ParseTransport(CapturedPacket packet, byte protocol, ReadOnlySpan<byte> payload)
    {
        packet = packet with { Protocol = protocol };
        if (!packet.IsFirstFragment || payload.Length < UdpHeader)
        {
            return packet;
        }
        if (protocol == Esp)
        {
            return packet with { Spi = BinaryPrimitives.ReadUInt32BigEndian(payload) };
        }
        if (protocol == Icmp6)
        {
            return packet with { IsNeighbourDiscovery = payload[0] is >= 130 and <= 137 or 143 };
        }
        ushort source = BinaryPrimitives.ReadUInt16BigEndian(payload), destination = BinaryPrimitives.ReadUInt16BigEndian(payload[2..]);
        bool natTraversal = protocol == Udp && (source == EspInUdpPort || destination == EspInUdpPort);
        bool encapsulated = natTraversal && payload.Length >= UdpHeader + 8 && BinaryPrimitives.ReadUInt32BigEndian(payload[UdpHeader..]) != 0;
        return packet with
        {
            SourcePort = source,
            DestinationPort = destination,
            IsUdpEsp = encapsulated,
            IsKeepalive = natTraversal && BinaryPrimitives.ReadUInt16BigEndian(payload[4..]) == UdpHeader + 1,
            Spi = encapsulated ? BinaryPrimitives.ReadUInt32BigEndian(payload[UdpHeader..]) : 0,
        };
    }
}
