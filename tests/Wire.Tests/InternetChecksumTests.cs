using System.Buffers.Binary;

namespace Xfrmd.Wire.Tests;

public sealed class InternetChecksumTests
{
    // RFC 1071 section 3
    [Fact]
    public void The_sum_of_the_rfc()
    {
        byte[] bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0, 0];
        InternetChecksum.Write(bytes.AsSpan(8), InternetChecksum.Finish(InternetChecksum.Sum(bytes)));
        Assert.Equal(0x220d, BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(8)));
        Assert.True(InternetChecksum.Verifies(bytes));
    }

    [Fact]
    public void Any_length_is_summed_as_by_words()
    {
        Random random = new(1);
        byte[] bytes = new byte[70000];
        random.NextBytes(bytes);
        for (int length = 0; length < 600; length++)
        {
            AssertSum(bytes.AsSpan(random.Next(64), length));
        }
        AssertSum(bytes.AsSpan(0, 65535));
        bytes.AsSpan().Fill(0xff);
        AssertSum(bytes.AsSpan(0, 65535));
        AssertSum(bytes.AsSpan(0, 70000));
    }

    [Fact]
    public void A_copy_is_summed_as_what_it_copies_and_writes_nothing_else()
    {
        Random random = new(4);
        byte[] bytes = new byte[70000], copy = new byte[70000];
        random.NextBytes(bytes);
        foreach (int length in Enumerable.Range(0, 600).Append(65535).Append(70000))
        {
            int from = length < 600 ? random.Next(64) : 0, to = length < 600 ? random.Next(64) : 0;
            copy.AsSpan().Fill(0xA5);
            ulong sum = InternetChecksum.Copy(bytes.AsSpan(from, length), copy.AsSpan(to, length), 0x1234);
            Assert.Equal(InternetChecksum.Finish(InternetChecksum.Sum(bytes.AsSpan(from, length), 0x1234)), InternetChecksum.Finish(sum));
            Assert.True(copy.AsSpan(to, length).SequenceEqual(bytes.AsSpan(from, length)));
            Assert.False(copy.AsSpan(0, to).ContainsAnyExcept((byte)0xA5) || copy.AsSpan(to + length).ContainsAnyExcept((byte)0xA5));
        }
    }

    [Fact]
    public void An_update_gives_what_a_new_sum_gives()
    {
        Random random = new(2);
        byte[] header = new byte[20];
        for (int i = 0; i < 2000; i++)
        {
            random.NextBytes(header);
            header[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), 20);
            Ipv4View.Seal(header);
            Assert.True(Ipv4View.TryParse(header, out Ipv4View ip));
            Assert.True(ip.HasValidChecksum);
            ip.ChangeTos((byte)random.Next(256));
            Assert.True(ip.HasValidChecksum);
        }
    }

    [Fact]
    public void Udp_travels_with_ones_where_the_checksum_is_zero()
    {
        Random random = new(3);
        for (int i = 0, seen = 0; i < 400_000 && seen == 0; i++)
        {
            byte[] datagram = new byte[10];
            random.NextBytes(datagram);
            UdpView.Write(datagram, 1, 2, datagram.Length);
            UdpView.Seal(datagram, 0);
            Assert.True(InternetChecksum.Verifies(datagram));
            Assert.NotEqual(0, BinaryPrimitives.ReadUInt16BigEndian(datagram.AsSpan(6)));
            seen += BinaryPrimitives.ReadUInt16BigEndian(datagram.AsSpan(6)) == 0xffff ? 1 : 0;
        }
    }

    private static void AssertSum(ReadOnlySpan<byte> bytes)
    {
        ulong sum = 0;
        for (int i = 0; i < bytes.Length; i += 2)
        {
            sum += (uint)((bytes[i] << 8) | (i + 1 < bytes.Length ? bytes[i + 1] : 0));
        }
        while (sum > 0xffff)
        {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        ushort expected = (ushort)~sum, actual = BinaryPrimitives.ReverseEndianness(InternetChecksum.Finish(InternetChecksum.Sum(bytes)));
        Assert.True(expected == actual || (expected ^ actual) == 0xffff && (expected == 0 || actual == 0), $"{bytes.Length}: {actual:x} for {expected:x}");
    }
}
