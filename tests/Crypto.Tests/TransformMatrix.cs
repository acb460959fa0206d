namespace Xfrmd.Crypto.Tests;

/// <summary>Every ESP transform that the catalogue makes possible, with a key of each length (or a few of many).</summary>
internal static class TransformMatrix
{
    public static IEnumerable<(string Name, EspTransform Transform)> All(CryptoBackend backend)
    {
        foreach (AeadAlgorithm aead in AlgorithmCatalogue.Aead.ToArray())
        {
            foreach (int length in Lengths(aead.KeyLengths))
            {
                Assert.Equal(TransformResult.Ok, EspTransform.TryCreateEsp(backend, aead, Generated.Bytes(1, length), out EspTransform? transform));
                yield return ($"{aead.Name} {aead.IcvBits} {length}", transform!);
            }
        }

        AuthAlgorithm sha256 = AlgorithmCatalogue.FindAuth("sha256")!;
        foreach (CipherAlgorithm cipher in AlgorithmCatalogue.Ciphers.ToArray())
        {
            foreach (int length in Lengths(cipher.KeyLengths))
            {
                yield return Authenc(backend, cipher, length, sha256, 128);
            }
        }

        CipherAlgorithm aes = AlgorithmCatalogue.FindCipher("aes")!, none = AlgorithmCatalogue.FindCipher("cipher_null")!;
        foreach (AuthAlgorithm auth in AlgorithmCatalogue.Auth.ToArray())
        {
            yield return Authenc(backend, aes, 16, auth, auth.DefaultTruncBits);
            yield return Authenc(backend, none, 0, auth, auth.FullBits);
            yield return Authenc(backend, none, 0, auth, Math.Min(64, auth.FullBits));
        }
    }

    public static int[] Lengths(KeyLengths lengths) =>
        [.. Enumerable.Range(0, 80).Where(lengths.Accepts).Where((_, i) => i % 8 == 0 || lengths.Step == 8), .. lengths.Max < 80 && lengths.Step == 1 ? [lengths.Max] : Array.Empty<int>()];

    private static (string Name, EspTransform Transform) Authenc(CryptoBackend backend, CipherAlgorithm cipher, int keyLength, AuthAlgorithm auth, int truncBits)
    {
        int authKey = auth.KeyLengths.Accepts(20) ? 20 : 16;
        Assert.Equal(
            TransformResult.Ok,
            EspTransform.TryCreateEsp(backend, cipher, Generated.Bytes(1, keyLength), auth, Generated.Bytes(2, authKey), truncBits, out EspTransform? transform));
        return ($"{cipher.Name} {keyLength} {auth.Name} {truncBits}", transform!);
    }
}
