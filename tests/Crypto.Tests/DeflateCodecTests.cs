using System.IO.Compression;
using System.Security.Cryptography;
using Xfrmd.Crypto.Compression;

namespace Xfrmd.Crypto.Tests;

public sealed class DeflateCodecTests
{
    private readonly DeflateCodec _codec = new();

    [Fact]
    public void The_kernels_compressed_packets_are_reproduced()
    {
        int packets = 0;
        foreach (PacketVector vector in Oracle.Packets(108).Where(v => v.Decoded[0].TryGetProperty("plain", out _)))
        {
            byte[] plain = PacketVector.Hex(vector.Decoded[0], "plain");
            byte[] outer = Assert.Single(vector.Outer);
            byte[] compressed = outer[((outer[0] >> 4 == 4 ? 20 : 40) + 4)..];

            byte[] output = new byte[65536];
            Assert.True(_codec.TryCompress(plain, output, out int written));
            Assert.Equal(compressed, output[..written]);
            Assert.True(_codec.TryDecompress(compressed, output, out written));
            Assert.Equal(plain, output[..written]);
            packets++;
        }

        Assert.Equal(4, packets);
    }

    /// <summary>Lengths and digests are those of zlib 1.2.13 with level 6, window bits -11 and memory level 8.</summary>
    [Theory]
    [InlineData(1, 0, 255, 0, 2, "9b4fb24edd6d1d8830e272398263cdbf")]
    [InlineData(2, 1, 255, 0, 3, "4ef364fd168827c845763fc7668e5b9a")]
    [InlineData(3, 90, 15, 0, 62, "158a77c87a69c34748679d3d82edbea5")]
    [InlineData(4, 300, 3, 0, 116, "d8159bd618fd1410e16398819aecc125")]
    [InlineData(5, 1400, 63, 0, 1076, "af0bac53c5a051cfac3efd648a5f000d")]
    [InlineData(6, 1400, 255, 0, 1405, "555ae733bbab0e788ed87a65be13b869")]
    [InlineData(7, 1480, 255, 37, 69, "ecd9080ab22876d0908b0ec11821ee48")]
    [InlineData(8, 3999, 255, 1786, 1901, "a29c8435569a2ee0c2f0b87d1442a14f")]
    [InlineData(9, 4100, 255, 1787, 4135, "c1085c289a1ea70ba1d79de6979aa65d")]
    [InlineData(10, 9000, 7, 0, 4106, "ed6a3ad6ba551fa0dc1cc5041e940e48")]
    [InlineData(11, 9000, 255, 0, 9039, "ee3c0997fa8b63a26e35f42b30324ebc")]
    [InlineData(12, 20000, 1, 0, 3240, "c3b6658de762d89cbfbaecd9228f4930")]
    [InlineData(13, 65535, 31, 0, 42017, "6754955d71dd1fd94b793434cdf011b5")]
    [InlineData(14, 65535, 255, 700, 1721, "88d5c532f8f2c2dd1249e969218457ee")]
    [InlineData(15, 65536, 0, 0, 78, "66e67866f6186b1cbfbbd4ef3fab21db")]
    public void The_bytes_are_zlibs(int seed, int length, int mask, int period, int expectedLength, string expectedDigest)
    {
        byte[] output = new byte[70000];
        Assert.True(_codec.TryCompress(Generated.Bytes((ulong)seed, length, mask, period), output, out int written));
        Assert.Equal(expectedLength, written);
        Assert.Equal(expectedDigest, Convert.ToHexStringLower(SHA256.HashData(output.AsSpan(0, written)).AsSpan(0, 16)));
    }

    [Theory]
    [InlineData(CompressionLevel.Fastest)]
    [InlineData(CompressionLevel.Optimal)]
    [InlineData(CompressionLevel.SmallestSize)]
    [InlineData(CompressionLevel.NoCompression)]
    public void It_understands_another_implementation_and_is_understood(CompressionLevel level)
    {
        byte[] output = new byte[70000];
        for (int seed = 0; seed < 60; seed++)
        {
            byte[] plain = Generated.Bytes((ulong)seed, 1 + (seed * seed * 18 % 65000), 255 >> (seed % 8), seed % 3 * 500);
            using var compressed = new MemoryStream();
            using (var stream = new DeflateStream(compressed, level, leaveOpen: true))
            {
                stream.Write(plain);
            }

            Assert.True(_codec.TryDecompress(compressed.ToArray(), output, out int written));
            Assert.Equal(plain, output[..written]);

            Assert.True(_codec.TryCompress(plain, output, out written));
            using var reader = new DeflateStream(new MemoryStream(output, 0, written), CompressionMode.Decompress);
            byte[] back = new byte[plain.Length];
            reader.ReadExactly(back);
            Assert.Equal(plain, back);
            Assert.Equal(-1, reader.ReadByte());
        }
    }

    [Fact]
    public void Output_never_passes_the_room_that_it_was_given()
    {
        byte[] plain = Generated.Bytes(1, 1400, 255, 300), output = new byte[2000];
        Assert.True(_codec.TryCompress(plain, output, out int exact));
        byte[] compressed = output[..exact];
        for (int room = 0; room < exact; room += 7)
        {
            output.AsSpan().Fill(0xee);
            Assert.False(_codec.TryCompress(plain, output.AsSpan(0, room), out _));
            Assert.Equal(-1, output.AsSpan(room).IndexOfAnyExcept((byte)0xee));
        }

        Assert.True(_codec.TryCompress(plain, output.AsSpan(0, exact), out _));
        for (int room = 0; room < plain.Length; room += 13)
        {
            output.AsSpan().Fill(0xee);
            Assert.False(_codec.TryDecompress(compressed, output.AsSpan(0, room), out _));
            Assert.Equal(-1, output.AsSpan(room).IndexOfAnyExcept((byte)0xee));
        }

        Assert.True(_codec.TryDecompress(compressed, output.AsSpan(0, plain.Length), out _));
        Assert.False(_codec.TryCompress(new byte[65537], new byte[70000], out _));
    }

    [Fact]
    public void No_bytes_make_it_throw()
    {
        byte[] output = new byte[4096];
        byte[] good = new byte[4096];
        Assert.True(_codec.TryCompress(Generated.Bytes(3, 3000, 63, 0), good, out int length));
        for (int cut = 0; cut < length; cut++)
        {
            Assert.False(_codec.TryDecompress(good.AsSpan(0, cut), output, out _), $"cut at {cut}");
        }

        for (int seed = 0; seed < 20000; seed++)
        {
            byte[] bad = seed % 2 == 0 ? Generated.Bytes((ulong)seed, seed % 200, 255, 0) : good[..length];
            byte[] noise = Generated.Bytes((ulong)seed, 8, 255, 0);
            for (int i = 0; i + 1 < noise.Length && bad.Length > 0; i += 2)
            {
                bad[((noise[i] << 2) + i) % Math.Min(bad.Length, 120 + i)] ^= noise[i + 1];
            }

            _codec.TryDecompress(bad, output, out int written);
            Assert.InRange(written, 0, output.Length);
        }
    }

    [Theory]
    [InlineData("07", "block type 3")]
    [InlineData("0102000000", "a stored block whose length is not what its complement says")]
    [InlineData("0302", "a distance before the beginning")]
    [InlineData("fd0000", "more than 286 literal codes")]
    [InlineData("", "nothing")]
    public void What_is_no_deflate_stream_is_refused(string hex, string why)
    {
        Assert.False(_codec.TryDecompress(Convert.FromHexString(hex), new byte[600], out _), why);
    }

    [Fact]
    public void No_memory_is_allocated_per_packet()
    {
        byte[] plain = Generated.Bytes(1, 1400, 15, 0), compressed = new byte[2000], back = new byte[2000];
        void Once()
        {
            Assert.True(_codec.TryCompress(plain, compressed, out int written));
            Assert.True(_codec.TryDecompress(compressed.AsSpan(0, written), back, out _));
        }

        Once();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 20; i++)
        {
            Once();
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
