using System.Security.Cryptography;

namespace Xfrmd.Crypto.Tests;

/// <summary>Published answers, above all for what the recordings lack.</summary>
public sealed class KnownAnswerTests
{
    [Theory]
    // FIPS 81, table C1.
    [InlineData("cbc(des)", "0123456789abcdef", "1234567890abcdef", "4e6f77206973207468652074696d6520666f7220616c6c20", "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6")]
    // The same with three equal keys.
    [InlineData("cbc(des3_ede)", "0123456789abcdef0123456789abcdef0123456789abcdef", "1234567890abcdef", "4e6f77206973207468652074696d6520666f7220616c6c20", "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6")]
    // RFC 2144 appendix B.1: 128, 80 and 40 bits.
    [InlineData("cbc(cast5)", "0123456712345678234567893456789a", "0000000000000000", "0123456789abcdef", "238b4fe5847e44b2")]
    [InlineData("cbc(cast5)", "01234567123456782345", "0000000000000000", "0123456789abcdef", "eb6a711a2c02271b")]
    [InlineData("cbc(cast5)", "0123456712", "0000000000000000", "0123456789abcdef", "7ac816d16e9b302e")]
    [InlineData("cbc(cast5)", "0123456712345678234567893456789a", "fedcba9876543210", "37363534333231204e6f77206973207468652074696d6520", "9be9025ab9e4039e5c88f17d22fb16a980d93bffbe974363")]
    // Schneier's and Young's vectors.
    [InlineData("cbc(blowfish)", "0123456789abcdeff0e1d2c3b4a59687", "fedcba9876543210", "37363534333231204e6f77206973207468652074696d6520666f722000000000", "6b77b4d63006dee605b156e27403979358deb9e7154616d959f1652bd5ff92cc")]
    // RFC 3602 section 4, case 2.
    [InlineData("cbc(aes)", "c286696d887c9aa0611bbb3e2025a45a", "562e17996d093d28ddb3ba695a2e6f58", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1")]
    // Linux crypto/testmgr.h, serpent_tv_template.
    [InlineData("cbc(serpent)", "", "00000000000000000000000000000000", "000102030405060708090a0b0c0d0e0f", "1207fcce9bd0d6476ae98fbed143a0e2")]
    [InlineData("cbc(serpent)", "000102030405060708090a0b0c0d0e0f", "00000000000000000000000000000000", "000102030405060708090a0b0c0d0e0f", "4c7d8a328072a22c823e4a1f3acda16d")]
    [InlineData("cbc(serpent)", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "00000000000000000000000000000000", "000102030405060708090a0b0c0d0e0f", "de269ff833e432b85b2e88d2701ce75c")]
    // RFC 3713 appendix A.
    [InlineData("cbc(camellia)", "0123456789abcdeffedcba9876543210", "00000000000000000000000000000000", "0123456789abcdeffedcba9876543210", "67673138549669730857065648eabe43")]
    // The Twofish paper, and its key-size vectors.
    [InlineData("cbc(twofish)", "00000000000000000000000000000000", "00000000000000000000000000000000", "00000000000000000000000000000000", "9f589f5cf6122c32b6bfec2f2ae8c35a")]
    [InlineData("cbc(twofish)", "0123456789abcdeffedcba98765432100011223344556677", "00000000000000000000000000000000", "00000000000000000000000000000000", "cfd1d2e5a9be9cdf501f13b892bd2248")]
    [InlineData("cbc(twofish)", "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff", "00000000000000000000000000000000", "00000000000000000000000000000000", "37527be0052334b89f0cfccae87cfa20")]
    // GB/T 32907-2016 appendix A.
    [InlineData("cbc(sm4)", "0123456789abcdeffedcba9876543210", "00000000000000000000000000000000", "0123456789abcdeffedcba9876543210", "681edf34d206965e86b3e94f536e4246")]
    [InlineData("cbc(sm4)", "0123456789abcdeffedcba9876543210", "0123456789abcdeffedcba9876543210", "3031323334353637383961626364656630313233343536373839616263646566", "f3ccef63e186984d87e6a7eaf624b94a30ed190d1f5afd64d8fd6bf2a8527fd9")]
    // RFC 3686 section 6, vector 2: the first counter block is given whole.
    [InlineData("rfc3686(ctr(aes))", "7e24067817fae0d743d6ce1f32539163", "006cb6dbc0543b59da48d90b00000001", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28")]
    public void A_cipher_gives_its_published_answer(string name, string key, string iv, string plain, string expected)
    {
        CipherKind kind = AlgorithmCatalogue.Ciphers.ToArray().Single(c => c.Name == name).Kind;
        foreach (CryptoBackend backend in Backends.All)
        {
            using CipherContext cipher = backend.CreateCipher(kind, Convert.FromHexString(key));
            byte[] data = Convert.FromHexString(plain);
            cipher.Encrypt(Convert.FromHexString(iv), data);
            Assert.Equal(expected, Convert.ToHexStringLower(data));
            cipher.Decrypt(Convert.FromHexString(iv), data);
            Assert.Equal(plain, Convert.ToHexStringLower(data));
        }
    }

    [Theory]
    // RFC 2202.
    [InlineData("hmac(md5)", "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "750c783e6ab0b503eaa86e310a5db738")]
    [InlineData("hmac(sha1)", "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")]
    // RFC 4231, case 2.
    [InlineData("hmac(sha256)", "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")]
    [InlineData("hmac(sha384)", "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649")]
    [InlineData("hmac(sha512)", "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737")]
    // RFC 2286, cases 1 and 2.
    [InlineData("hmac(rmd160)", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265", "24cb4bd67d20fc1a5d2ed7732dcc39377f0a5668")]
    [InlineData("hmac(rmd160)", "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "dda6c0213a485a9e24f4742064a7f033b43c4069")]
    // Linux crypto/testmgr.h, hmac_sm3_tv_template.
    [InlineData("hmac(sm3)", "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20", "6162636462636465636465666465666765666768666768696768696a68696a6b696a6b6c6a6b6c6d6b6c6d6e6c6d6e6f6d6e6f706e6f70716162636462636465636465666465666765666768666768696768696a68696a6b696a6b6c6a6b6c6d6b6c6d6e6c6d6e6f6d6e6f706e6f7071", "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a")]
    // RFC 3566 section 4.6, cases 1 to 6.
    [InlineData("xcbc(aes)", "000102030405060708090a0b0c0d0e0f", "", "75f0251d528ac01c4573dfd584d79f29")]
    [InlineData("xcbc(aes)", "000102030405060708090a0b0c0d0e0f", "000102", "5b376580ae2f19afe7219ceef172756f")]
    [InlineData("xcbc(aes)", "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f", "d2a246fa349b68a79998a4394ff7a263")]
    [InlineData("xcbc(aes)", "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f10111213", "47f51b4564966215b8985c63055ed308")]
    [InlineData("xcbc(aes)", "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "f54f0ec8d2b9f3d36807734bd5283fd4")]
    // RFC 4493 section 4, and NIST SP 800-38B D.3 (256 bits).
    [InlineData("cmac(aes)", "2b7e151628aed2a6abf7158809cf4f3c", "", "bb1d6929e95937287fa37d129b756746")]
    [InlineData("cmac(aes)", "2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172a", "070a16b46b4d4144f79bdd9dd04a287c")]
    [InlineData("cmac(aes)", "2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411", "dfa66747de9ae63030ca32611497c827")]
    [InlineData("cmac(aes)", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "6bc1bee22e409f96e93d7e117393172a", "28a7023f452e8f82bd4bf28d8c37c35c")]
    public void An_integrity_algorithm_gives_its_published_answer(string name, string key, string data, string expected)
    {
        AuthAlgorithm algorithm = AlgorithmCatalogue.Auth.ToArray().Single(a => a.Name == name);
        foreach (CryptoBackend backend in Backends.All)
        {
            Assert.Equal(TransformResult.Ok, AuthTransform.TryCreate(backend, algorithm, Convert.FromHexString(key), algorithm.FullBits, out AuthTransform? transform));
            using AuthContext context = transform!.CreateContext();
            for (int i = 0; i < 2; i++)
            {
                context.Append(Convert.FromHexString(data));
                byte[] icv = new byte[transform.IcvLength];
                context.Finish(icv);
                Assert.Equal(expected, Convert.ToHexStringLower(icv));
            }

            transform.Dispose();
        }
    }

    [Fact]
    public void A_long_xcbc_key_only_derives_the_others()
    {
        // crypto_xcbc_digest_setkey: the three keys come from AES-256, the chain itself is AES-128.
        byte[] key = Generated.Bytes(1, 32), data = Generated.Bytes(2, 32);
        using var derive = Aes.Create();
        derive.Key = key;
        byte[] Derived(byte value) => derive.EncryptEcb(Enumerable.Repeat(value, 16).ToArray(), PaddingMode.None);
        using var chain = Aes.Create();
        chain.Key = Derived(1);
        byte[] k2 = Derived(2);
        for (int i = 0; i < 16; i++)
        {
            k2[i] ^= data[16 + i];
        }

        byte[] expected = chain.EncryptCbc((byte[])[.. data[..16], .. k2], new byte[16], PaddingMode.None)[16..];
        AuthTransform.TryCreate(AlgorithmCatalogue.FindAuth("xcbc(aes)")!, key, 128, out AuthTransform? transform);
        using AuthContext context = transform!.CreateContext();
        context.Append(data);
        byte[] icv = new byte[16];
        context.Finish(icv);
        Assert.Equal(expected, icv);
        transform.Dispose();
    }

    [Fact]
    public void Hmac_hashes_a_key_that_is_longer_than_a_block()
    {
        byte[] data = Generated.Bytes(9, 777), icv = new byte[64];
        for (int length = 0; length < 300; length += 1)
        {
            byte[] key = Generated.Bytes((ulong)length, length);
            foreach ((AuthKind kind, byte[] expected) in new[]
            {
                (AuthKind.HmacMd5, HMACMD5.HashData(key, data)),
                (AuthKind.HmacSha1, HMACSHA1.HashData(key, data)),
                (AuthKind.HmacSha256, HMACSHA256.HashData(key, data)),
                (AuthKind.HmacSha384, HMACSHA384.HashData(key, data)),
                (AuthKind.HmacSha512, HMACSHA512.HashData(key, data)),
            })
            {
                using AuthContext context = CryptoBackend.Default.CreateAuth(kind, key);
                context.Append(data);
                context.Finish(icv.AsSpan(0, expected.Length));
                Assert.Equal(expected, icv[..expected.Length]);
            }
        }
    }

    [Fact]
    public void A_chained_mac_does_not_depend_on_how_the_data_is_cut()
    {
        byte[] data = Generated.Bytes(4, 5000), whole = new byte[16], parts = new byte[16];
        foreach (AuthKind kind in new[] { AuthKind.AesCmac, AuthKind.AesXcbc })
        {
            using AuthContext context = CryptoBackend.Default.CreateAuth(kind, data.AsSpan(0, 16));
            foreach (int length in new[] { 0, 1, 16, 2047, 2048, 2049, 4095, 4096, 4097, 5000 })
            {
                context.Append(data.AsSpan(0, length));
                context.Finish(whole);
                for (int step = 1; step < 2100; step = (step * 3) + 1)
                {
                    for (int at = 0; at < length; at += step)
                    {
                        context.Append(data.AsSpan(at, Math.Min(step, length - at)));
                    }

                    context.Finish(parts);
                    Assert.Equal(whole, parts);
                }
            }
        }
    }
}
