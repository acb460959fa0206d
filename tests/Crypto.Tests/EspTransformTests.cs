using System.Buffers.Binary;

namespace Xfrmd.Crypto.Tests;

public sealed class EspTransformTests
{
    private const uint SequenceHigh = 0x01020304;

    [Fact]
    public void Libraries_and_managed_code_understand_each_other_in_every_transform()
    {
        foreach (CryptoBackend backend in Backends.Native)
        {
            int transforms = 0;
            foreach (((string name, EspTransform native), (_, EspTransform managed)) in TransformMatrix.All(backend).Zip(TransformMatrix.All(Backends.Managed)))
            {
                using EspContext one = native.CreateContext(), other = managed.CreateContext();
                int alignment = Math.Max(native.BlockSize, 4);
                foreach (int payload in Payloads(alignment))
                {
                    foreach (bool esn in new[] { false, true })
                    {
                        byte[] plain = Packet(native, one, payload, (ulong)payload);
                        byte[] mine = [.. plain], theirs = [.. plain];
                        one.Seal(mine, esn, SequenceHigh);
                        other.Seal(theirs, esn, SequenceHigh);
                        Assert.True(mine.AsSpan().SequenceEqual(theirs), name);
                        Assert.True(other.Open(mine, esn, SequenceHigh) && one.Open(theirs, esn, SequenceHigh), name);
                        Assert.True(mine.AsSpan(0, mine.Length - native.IcvLength).SequenceEqual(plain.AsSpan(0, plain.Length - native.IcvLength)), name);
                        Assert.True(theirs.AsSpan(0, mine.Length - native.IcvLength).SequenceEqual(plain.AsSpan(0, plain.Length - native.IcvLength)), name);
                    }
                }

                native.Dispose();
                managed.Dispose();
                transforms++;
            }

            Assert.True(transforms > 80, $"{transforms}");
        }
    }

    [Fact]
    public void No_memory_is_allocated_per_packet()
    {
        foreach ((string name, EspTransform transform) in Backends.Native.SelectMany(TransformMatrix.All))
        {
            using EspContext context = transform.CreateContext();
            byte[] esp = Packet(transform, context, 1408, 1);
            void Once(ulong sequence)
            {
                context.WriteIv(esp.AsSpan(8, transform.IvLength), sequence);
                context.Seal(esp, true, SequenceHigh);
                Assert.True(context.Open(esp, true, SequenceHigh));
                context.Seal(esp, false, 0);
                esp[20] ^= 1;
                context.Open(esp, false, 0);
            }

            Once(1);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (ulong i = 2; i < 12; i++)
            {
                Once(i);
            }

            Assert.True(GC.GetAllocatedBytesForCurrentThread() == before, name);
            transform.Dispose();
        }
    }

    [Fact]
    public void No_length_and_no_bytes_make_open_throw()
    {
        foreach (CryptoBackend backend in Backends.All)
        {
            foreach ((string name, EspTransform transform) in TransformMatrix.All(backend))
            {
                using EspContext context = transform.CreateContext();
                for (int length = 0; length < 140; length++)
                {
                    bool opened = context.Open(Generated.Bytes((ulong)length, length), length % 2 == 0, SequenceHigh);
                    Assert.False(opened && transform.IcvLength > 0, name);
                }

                // And it still works.
                byte[] good = Packet(transform, context, 64, 1);
                context.Seal(good, false, 0);
                Assert.True(context.Open(good, false, 0), name);
                transform.Dispose();
            }
        }
    }

    [Fact]
    public void A_packet_without_payload_is_refused_even_if_authentic()
    {
        // esp_input: elen <= 0.
        foreach (((string name, EspTransform sender), (_, EspTransform transform)) in TransformMatrix.All(Backends.Managed).Zip(TransformMatrix.All(Backends.IpsecMb)))
        {
            using EspContext sealing = sender.CreateContext(), context = transform.CreateContext();
            byte[] esp = Packet(sender, sealing, 0, 1);
            sealing.Seal(esp, false, 0);
            Assert.False(context.Open(esp, false, 0), name);
            sender.Dispose();
            transform.Dispose();
        }
    }

    [Fact]
    public void Without_integrity_anything_opens()
    {
        CipherAlgorithm aes = AlgorithmCatalogue.FindCipher("cbc(aes)")!;
        Assert.Equal(TransformResult.Ok, EspTransform.TryCreateEsp(aes, new byte[16], null, [], 0, out EspTransform? transform));
        using EspContext context = transform!.CreateContext();
        Assert.Equal(0, transform.IcvLength);
        Assert.True(context.Open(Generated.Bytes(1, 8 + 16 + 32), false, 0));
        Assert.False(context.Open(Generated.Bytes(1, 8 + 16 + 31), false, 0));
        transform.Dispose();
    }

    [Fact]
    public void Counter_modes_take_the_sequence_number_xor_one_salt_as_iv()
    {
        EspTransform.TryCreateEsp(AlgorithmCatalogue.FindAead("rfc4106(gcm(aes))", 128)!, new byte[20], out EspTransform? transform);
        using EspContext one = transform!.CreateContext(), two = transform.CreateContext();
        ulong salt = Iv(one, 0);
        for (ulong sequence = 1; sequence < 100; sequence++)
        {
            Assert.Equal(salt ^ sequence, Iv(one, sequence));

            // Two workers of one SA share key and counter: with salts of their own their IVs could meet.
            Assert.Equal(salt ^ sequence, Iv(two, sequence));
        }

        Assert.Equal(salt ^ 0x500000000, Iv(one, 0x500000000));
        EspTransform.TryCreateEsp(AlgorithmCatalogue.FindAead("rfc4106(gcm(aes))", 128)!, new byte[20], out EspTransform? again);
        using EspContext other = again!.CreateContext();
        Assert.NotEqual(salt, Iv(other, 0));
        transform.Dispose();
        again.Dispose();
    }

    [Theory]
    [InlineData("cbc(aes)", 16)]
    [InlineData("cbc(des3_ede)", 24)]
    public void Chained_modes_have_unpredictable_ivs_that_do_not_repeat(string name, int keyLength)
    {
        CipherAlgorithm cipher = AlgorithmCatalogue.FindCipher(name)!;
        EspTransform.TryCreateEsp(cipher, Generated.Bytes(1, keyLength), null, [], 0, out EspTransform? transform);
        using EspContext context = transform!.CreateContext();
        var seen = new HashSet<string>();
        int ones = 0;
        byte[] previous = new byte[transform.IvLength], iv = new byte[transform.IvLength];
        for (ulong sequence = 1; sequence <= 1000; sequence++)
        {
            context.WriteIv(iv, sequence);
            Assert.True(seen.Add(Convert.ToHexString(iv)));
            for (int i = 0; i < iv.Length; i++)
            {
                ones += System.Numerics.BitOperations.PopCount((uint)(iv[i] ^ previous[i]));
            }

            iv.CopyTo(previous, 0);
        }

        // From one packet to the next half of the bits change.
        Assert.InRange(ones / (1000.0 * iv.Length * 8), 0.48, 0.52);
        transform.Dispose();
    }

    [Fact]
    public void A_disposed_context_is_not_used()
    {
        foreach ((_, EspTransform transform) in Backends.Native.SelectMany(TransformMatrix.All).Where(t => t.Name.Contains("gcm", StringComparison.Ordinal) || t.Name.Contains("hmac", StringComparison.Ordinal)))
        {
            EspContext context = transform.CreateContext();
            byte[] esp = Packet(transform, context, 64, 1);
            context.Dispose();
            context.Dispose();
            Assert.Throws<ObjectDisposedException>(() => context.Seal(esp, false, 0));
            Assert.Throws<ObjectDisposedException>(() => context.Open(esp, false, 0));
            transform.Dispose();
        }
    }

    [Fact]
    public void A_disposed_transform_makes_no_contexts_with_wiped_keys()
    {
        foreach ((_, EspTransform transform) in Backends.Native.SelectMany(TransformMatrix.All))
        {
            EspContext earlier = transform.CreateContext();
            byte[] esp = Packet(transform, earlier, 64, 1), again = [.. esp];
            earlier.Seal(esp, false, 0);
            transform.Dispose();
            Assert.Throws<ObjectDisposedException>(transform.CreateContext);

            // Contexts that exist have keys of their own.
            earlier.Seal(again, false, 0);
            Assert.Equal(esp, again);
            earlier.Dispose();
        }

        AuthTransform.TryCreate(AlgorithmCatalogue.FindAuth("sha1")!, new byte[20], 96, out AuthTransform? auth);
        auth!.Dispose();
        Assert.Throws<ObjectDisposedException>(auth.CreateContext);
    }

    [Fact]
    public void Workers_do_not_disturb_each_other()
    {
        EspTransform.TryCreateEsp(
            AlgorithmCatalogue.FindCipher("cbc(aes)")!, new byte[16], AlgorithmCatalogue.FindAuth("hmac(sha256)"), new byte[32], 128, out EspTransform? transform);
        Parallel.For(0, 4, worker =>
        {
            using EspContext context = transform!.CreateContext();
            for (ulong i = 1; i < 500; i++)
            {
                byte[] esp = Packet(transform, context, 512, (i * 4) + (ulong)worker);
                byte[] plain = [.. esp];
                context.Seal(esp, false, 0);
                Assert.True(context.Open(esp, false, 0));
                Assert.Equal(plain[..^16], esp[..^16]);
            }
        });
        transform!.Dispose();
    }

    /// <summary>Short ones, and a few that are handled in other ways: of a link, of a jumbo frame, the largest.</summary>
    private static IEnumerable<int> Payloads(int alignment)
    {
        for (int payload = alignment; payload <= 256; payload += 3 * alignment)
        {
            yield return payload;
        }

        foreach (int payload in new[] { 1392, 8976, 65440 })
        {
            yield return payload;
        }
    }

    private static byte[] Packet(EspTransform transform, EspContext context, int payload, ulong sequence)
    {
        byte[] esp = Generated.Bytes(sequence, EspTransform.HeaderLength + transform.IvLength + payload + transform.IcvLength);
        BinaryPrimitives.WriteUInt32BigEndian(esp.AsSpan(4), (uint)sequence);
        context.WriteIv(esp.AsSpan(EspTransform.HeaderLength, transform.IvLength), sequence);
        return esp;
    }

    private static ulong Iv(EspContext context, ulong sequence)
    {
        Span<byte> iv = stackalloc byte[8];
        context.WriteIv(iv, sequence);
        return BinaryPrimitives.ReadUInt64BigEndian(iv);
    }
}
