using System.Buffers.Binary;

namespace Xfrmd.Crypto.Tests;

/// <summary>Every ESP packet that the kernel sent is opened to what it carried, and sealed to the very bytes.</summary>
public sealed class EspVectorTests
{
    // 875 recordings; those of more than one packet are sockets that sent fragments.
    private const int Recorded = 891;

    [Fact]
    public void The_kernels_packets_are_reproduced_with_libipsecmb() => Assert.Equal(Recorded, Reproduce(Backends.IpsecMb));

    [Fact]
    public void The_kernels_packets_are_reproduced_with_libcrypto() => Assert.Equal(Recorded, Reproduce(Backends.OpenSsl));

    [Fact]
    public void The_kernels_packets_are_reproduced_with_managed_code() => Assert.Equal(Recorded, Reproduce(Backends.Managed));

    private static int Reproduce(CryptoBackend backend)
    {
        int packets = 0;
        foreach (PacketVector vector in Oracle.Packets(50).Where(v => v.Outer.Length > 0))
        {
            using EspTransform transform = vector.CreateEsp(backend);
            using EspContext context = transform.CreateContext();
            List<byte[]> sent = vector.EspPackets();
            Assert.Equal(vector.Decoded.Length, sent.Count);
            for (int i = 0; i < sent.Count; i++, packets++)
            {
                byte[] esp = [.. sent[i]];
                uint high = vector.Decoded[i].GetProperty("seq_hi").GetUInt32();
                Assert.Equal(PacketVector.Hex(vector.Decoded[i], "esp"), esp);
                Assert.True(context.Open(esp, vector.Esn, high), vector.Id);
                AssertPayload(vector, i, esp.AsSpan((8 + transform.IvLength)..^transform.IcvLength));

                esp.AsSpan(esp.Length - transform.IcvLength).Clear();
                context.Seal(esp, vector.Esn, high);
                Assert.Equal(sent[i], esp);
            }
        }

        return packets;
    }

    private static void AssertPayload(PacketVector vector, int index, ReadOnlySpan<byte> plain)
    {
        var decoded = vector.Decoded[index];
        int pad = plain[^2];
        Assert.Equal(decoded.GetProperty("pad_len").GetInt32(), pad);
        Assert.Equal(decoded.GetProperty("next_header").GetInt32(), plain[^1]);
        for (int i = 1; i <= pad; i++)
        {
            Assert.Equal(i, plain[plain.Length - 2 - pad + i - 1]);
        }

        ReadOnlySpan<byte> payload = plain[..^(2 + pad)];
        byte[] inner = PacketVector.Hex(decoded, "inner");
        int tfc = decoded.TryGetProperty("tfc_len", out var length) ? length.GetInt32() : 0;
        Assert.Equal(inner, payload[..^tfc]);
        Assert.Equal(-1, payload[^tfc..].IndexOfAnyExcept((byte)0));
    }

    [Fact]
    public void A_changed_bit_anywhere_is_refused()
    {
        int refused = 0;
        foreach (PacketVector vector in Oracle.Packets(50).Where(v => v.Outer.Length == 1 && v.Decoded.Length == 1).DistinctBy(v => v.Algorithm.GetRawText()))
        {
            using EspTransform transform = vector.CreateEsp(CryptoBackend.Default);
            if (transform.IcvLength == 0)
            {
                continue;
            }

            using EspContext context = transform.CreateContext();
            byte[] good = vector.EspPackets()[0];
            uint high = (uint)(vector.Sequence64 >> 32);
            for (int at = 0; at < good.Length; at++)
            {
                byte[] bad = [.. good];
                bad[at] ^= 0x40;
                Assert.False(context.Open(bad, vector.Esn, high), $"{vector.Id} byte {at}");
                refused++;
            }

            Assert.False(context.Open([.. good], !vector.Esn, high + 1));
            Assert.True(context.Open([.. good], vector.Esn, high), "a refused packet must not spoil the next");
        }

        Assert.True(refused > 3000);
    }

    [Fact]
    public void The_sequence_number_stands_where_the_transform_says()
    {
        PacketVector vector = Oracle.Packets(50).First(v => v.Sequence64 != 0 && v.Outer.Length == 1);
        Assert.Equal((uint)vector.Sequence64, BinaryPrimitives.ReadUInt32BigEndian(vector.EspPackets()[0].AsSpan(4)));
    }
}
