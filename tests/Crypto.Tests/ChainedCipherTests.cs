using System.Security.Cryptography;

namespace Xfrmd.Crypto.Tests;

/// <summary>CBC of one context, packet after packet, each with an IV of its own, beside .NET's.</summary>
public sealed class ChainedCipherTests
{
    [Theory]
    [InlineData("AesCbc", 16)]
    [InlineData("AesCbc", 32)]
    [InlineData("TripleDesCbc", 24)]
    public void Each_packet_stands_for_itself(string kind, int keyLength)
    {
        byte[] key = Generated.Bytes(1, keyLength);
        using SymmetricAlgorithm other = kind == "AesCbc" ? Aes.Create() : TripleDES.Create();
        other.Key = key;
        using CipherContext context = Backends.OpenSsl.CreateCipher(Enum.Parse<CipherKind>(kind), key);
        for (ulong packet = 1; packet <= 100; packet++)
        {
            byte[] iv = Generated.Bytes(packet, other.BlockSize / 8), clear = Generated.Bytes(packet * 7, (int)(packet % 9 + 1) * iv.Length);
            byte[] secret = other.EncryptCbc(clear, iv, PaddingMode.None), data = [.. clear];
            context.Encrypt(iv, data);
            Assert.Equal(secret, data);
            if (packet % 3 != 0)   // one that is sent is not one that comes
            {
                context.Decrypt(iv, data);
                Assert.Equal(clear, data);
            }
        }
    }
}
