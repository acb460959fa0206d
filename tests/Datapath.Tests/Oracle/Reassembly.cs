using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests.Oracle;

/// <summary>Puts fragments together that come in order, as the kernel below the sockets does.</summary>
internal static class Reassembly
{
    private const int FragmentHeader = 8;

    /// <summary>Whole packets out of a list of packets and fragments.</summary>
    public static List<byte[]> Whole(IEnumerable<byte[]> packets)
    {
        List<byte[]> whole = [];
        byte[]? header = null;
        List<byte> payload = [];
        foreach (byte[] packet in packets)
        {
            bool more;
            if (Ipv4View.TryParse(packet, out Ipv4View ip))
            {
                header ??= packet[..ip.HeaderLength];
                payload.AddRange(ip.Payload);
                more = (ip.FragmentField & Ipv4View.MoreFragmentsBit) != 0;
            }
            else
            {
                Assert.True(Ipv6View.TryParse(packet, out Ipv6View ip6));
                Assert.True(Ipv6Extensions.TryFindFragmentable(packet, out int offset, out int nextHeaderAt));
                bool isFragment = packet[nextHeaderAt] == NextHeader.Fragment;
                more = isFragment && (packet[offset + 3] & 1) != 0;
                if (isFragment && header is null)
                {
                    header = packet[..offset];
                    header[nextHeaderAt] = packet[offset];
                }
                header ??= packet[..offset];
                payload.AddRange(packet.AsSpan(offset + (isFragment ? FragmentHeader : 0)));
            }
            if (!more)
            {
                whole.Add(Join(header, payload));
                header = null;
                payload.Clear();
            }
        }
        Assert.Null(header);
        return whole;
    }

    private static byte[] Join(byte[] header, List<byte> payload)
    {
        byte[] packet = [.. header, .. payload];
        if (packet[0] >> 4 == 4)
        {
            packet[6] &= 0xdf;
            Ipv4View.Complete(packet, packet.Length, packet[Ipv4View.ProtocolAt]);
        }
        else
        {
            Ipv6View.Complete(packet, packet.Length);
        }
        return packet;
    }
}
