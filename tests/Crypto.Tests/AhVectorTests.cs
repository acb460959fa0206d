namespace Xfrmd.Crypto.Tests;

/// <summary>The ICV of every AH packet that the kernel sent.</summary>
public sealed class AhVectorTests
{
    [Fact]
    public void The_kernels_icvs_are_reproduced_with_libcrypto() => Assert.Equal(130, Reproduce(Backends.OpenSsl));

    [Fact]
    public void The_kernels_icvs_are_reproduced_without_libcrypto() => Assert.Equal(130, Reproduce(Backends.Managed));

    private static int Reproduce(CryptoBackend backend)
    {
        int packets = 0;

        // Those that are not verified are AH in BEET mode, which Linux itself gets wrong.
        foreach (PacketVector vector in Oracle.Packets(51).Where(v => v.Verified))
        {
            AuthAlgorithm algorithm = AlgorithmCatalogue.FindAuth(vector.Algorithm.GetProperty("auth").GetString())!;
            byte[] key = PacketVector.Hex(vector.Algorithm, "auth_key");
            int bits = vector.Algorithm.GetProperty("trunc_bits").GetInt32();
            Assert.Equal(TransformResult.Ok, AuthTransform.TryCreate(backend, algorithm, key, bits, out AuthTransform? transform));
            using AuthContext context = transform!.CreateContext();
            (byte[] covered, byte[] expected) = vector.AhInput(transform.IcvLength);

            // Twice, and cut in two: the second must not remember the first.
            byte[] icv = new byte[transform.IcvLength];
            for (int cut = 0; cut < covered.Length; cut += 33, icv.AsSpan().Clear())
            {
                context.Append(covered.AsSpan(0, cut));
                context.Append(covered.AsSpan(cut));
                context.Finish(icv);
                Assert.Equal(expected, icv);
            }

            transform.Dispose();
            packets++;
        }

        return packets;
    }
}
