using Xfrmd.Crypto.Hardware;
using Xfrmd.Crypto.OpenSsl;

namespace Xfrmd.Crypto.Tests;

/// <summary>AES-GCM by the processor's instructions against libcrypto's. The recordings of a real kernel go through it as well.</summary>
public sealed class HardwareGcmTests
{
    private static readonly int[] Lengths = [.. Enumerable.Range(1, 700), 1388, 1440, 4096, 8999, 65535];

    [HardwareTheory]
    [InlineData(16)]
    [InlineData(24)]
    [InlineData(32)]
    public void Every_length_gives_what_libcrypto_gives(int keyLength)
    {
        byte[] key = Generated.Bytes((ulong)keyLength, keyLength);
        using HardwareGcmContext one = new(key);
        using EvpAeadContext other = new(LibCrypto.Cipher($"AES-{keyLength * 8}-GCM"), ccm: false, key, 12, 16);
        foreach (int length in Lengths)
        {
            byte[] nonce = Generated.Bytes((ulong)length + 1, 12), aad = Generated.Bytes((ulong)length + 2, length % 2 == 0 ? 8 : 12);
            byte[] plain = Generated.Bytes((ulong)length + 3, length), mine = [.. plain], theirs = [.. plain];
            byte[] myTag = new byte[length % 3 == 0 ? 8 : length % 3 == 1 ? 12 : 16], theirTag = new byte[myTag.Length];
            one.Seal(nonce, aad, [], mine, myTag);
            other.Seal(nonce, aad, [], theirs, theirTag);
            Assert.True(mine.AsSpan().SequenceEqual(theirs) && myTag.AsSpan().SequenceEqual(theirTag), $"{length}");
            Assert.True(one.Open(nonce, aad, [], mine, theirTag), $"{length}");
            Assert.True(mine.AsSpan().SequenceEqual(plain), $"{length}");
        }
    }

    [HardwareFact]
    public void No_byte_beside_the_data_is_written()
    {
        using HardwareGcmContext context = new(new byte[16]);
        for (int length = 1; length < 300; length++)
        {
            byte[] all = Generated.Bytes((ulong)length, length + 64), before = [.. all];
            context.Seal(new byte[12], new byte[8], [], all.AsSpan(32, length), new byte[16]);
            Assert.True(all.AsSpan(0, 32).SequenceEqual(before.AsSpan(0, 32)) && all.AsSpan(length + 32).SequenceEqual(before.AsSpan(length + 32)), $"{length}");
        }
    }

    [HardwareTheory]
    [InlineData(8)]
    [InlineData(12)]
    [InlineData(16)]
    public void Whatever_bit_changes_the_packet_is_refused(int tagLength)
    {
        using HardwareGcmContext context = new(Generated.Bytes(1, 16));
        byte[] nonce = Generated.Bytes(2, 12), aad = Generated.Bytes(3, 12), data = Generated.Bytes(4, 333), tag = new byte[tagLength];
        context.Seal(nonce, aad, [], data, tag);
        byte[][] parts = [nonce, aad, data, tag];
        foreach (byte[] part in parts)
        {
            for (int bit = 0; bit < part.Length * 8; bit++)
            {
                part[bit / 8] ^= (byte)(1 << (bit % 8));
                Assert.False(context.Open(nonce, aad, [], [.. data], tag), $"{bit}");
                part[bit / 8] ^= (byte)(1 << (bit % 8));
            }
        }
        Assert.True(context.Open(nonce, aad, [], data, tag));
    }

    [HardwareFact]
    public void A_disposed_context_is_wiped_and_not_used()
    {
        HardwareGcmContext context = new(new byte[16]);
        context.Dispose();
        context.Dispose();
        Assert.Throws<ObjectDisposedException>(() => context.Seal(new byte[12], new byte[8], [], new byte[16], new byte[16]));
    }

    private const string Reason = "this processor lacks the instructions";

    private sealed class HardwareFactAttribute : FactAttribute
    {
        public HardwareFactAttribute() => Skip = HardwareGcmContext.IsSupported ? null : Reason;
    }

    private sealed class HardwareTheoryAttribute : TheoryAttribute
    {
        public HardwareTheoryAttribute() => Skip = HardwareGcmContext.IsSupported ? null : Reason;
    }
}
