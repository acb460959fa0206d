using System.Buffers.Binary;
using System.Net;

namespace Xfrmd.Datapath.Tests.Steering;

/// <summary>Packets made and read byte by byte, for tests of routing.</summary>
internal static class TestPackets
{
    /// <summary>An ICMP or ICMPv6 echo request.</summary>
    public static byte[] Ping(string source, string destination)
    {
        byte[] s = IPAddress.Parse(source).GetAddressBytes(), d = IPAddress.Parse(destination).GetAddressBytes();
        bool ipv6 = s.Length == 16;
        byte[] icmp = [(byte)(ipv6 ? 128 : 8), 0, 0, 0, 0x12, 0x34, 0, 1, .. new byte[56]];
        if (ipv6)
        {
            byte[] pseudo = [.. s, .. d, 0, 0, 0, (byte)icmp.Length, 0, 0, 0, 58, .. icmp];
            BinaryPrimitives.WriteUInt16BigEndian(icmp.AsSpan(2), Checksum(pseudo));
            return [0x60, 0, 0, 0, 0, (byte)icmp.Length, 58, 64, .. s, .. d, .. icmp];
        }
        BinaryPrimitives.WriteUInt16BigEndian(icmp.AsSpan(2), Checksum(icmp));
        byte[] header = [0x45, 0, 0, (byte)(20 + icmp.Length), 0, 1, 0, 0, 64, 1, 0, 0, .. s, .. d];
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(10), Checksum(header));
        return [.. header, .. icmp];
    }

    public static string Source(byte[] packet) => packet[0] >> 4 == 4 ? Address(packet, 12, 4) : Address(packet, 8, 16);

    public static string Destination(byte[] packet) => packet[0] >> 4 == 4 ? Address(packet, 16, 4) : Address(packet, 24, 16);

    private static string Address(byte[] packet, int offset, int length) => new IPAddress(packet.AsSpan(offset, length)).ToString();

    private static ushort Checksum(ReadOnlySpan<byte> bytes)
    {
        uint sum = 0;
        for (int i = 0; i < bytes.Length; i += 2)
        {
            sum += (uint)((bytes[i] << 8) | (i + 1 < bytes.Length ? bytes[i + 1] : 0));
        }
        while (sum >> 16 != 0)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        return (ushort)~sum;
    }
}
