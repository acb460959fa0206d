namespace Xfrmd.Crypto.Tests;

/// <summary>What the recordings of Linux 6.12 say about names, ids and keys.</summary>
public sealed class AlgorithmCatalogueTests
{
    [Fact]
    public void Pf_key_lists_the_algorithms_as_the_kernel_does()
    {
        // SADB_REGISTER, pk/register/ESP: id, ivlen, minbits, maxbits.
        Assert.Equal(
            [(251, 0, 0), (2, 128, 128), (3, 160, 160), (5, 256, 256), (6, 384, 384), (7, 512, 512), (8, 160, 160), (9, 128, 128)],
            AlgorithmCatalogue.Auth.ToArray().Where(a => a.Available && a.PfKeySupported).Select(a => ((int)a.PfKeyId, a.PfKeyMinBits, a.PfKeyMaxBits)));
        Assert.Equal(
            [(11, 0, 0, 0), (2, 8, 64, 64), (3, 8, 192, 192), (6, 8, 40, 128), (7, 8, 40, 448), (12, 8, 128, 256), (252, 8, 128, 256), (22, 8, 128, 256), (253, 8, 128, 256), (13, 8, 160, 288)],
            AlgorithmCatalogue.Ciphers.ToArray().Where(a => a.Available && a.PfKeySupported).Select(a => ((int)a.PfKeyId, (int)a.PfKeyIvLength, a.PfKeyMinBits, a.PfKeyMaxBits)));
    }

    [Theory]
    [InlineData("sha1", "hmac(sha1)")]
    [InlineData("sha256", "hmac(sha256)")]
    [InlineData("rmd160", "hmac(rmd160)")]
    [InlineData("digest_null", "digest_null")]
    [InlineData("cmac(aes)", "cmac(aes)")]
    [InlineData("sha384", null)]
    [InlineData("hmac(sm3)", null)]
    [InlineData("SHA1", null)]
    [InlineData("hmac(sha1", null)]
    [InlineData("", null)]
    public void Auth_is_found_by_name_or_old_name(string asked, string? name) => Assert.Equal(name, AlgorithmCatalogue.FindAuth(asked)?.Name);

    [Theory]
    [InlineData("aes", "cbc(aes)")]
    [InlineData("des3_ede", "cbc(des3_ede)")]
    [InlineData("cipher_null", "ecb(cipher_null)")]
    [InlineData("rfc3686(ctr(aes))", "rfc3686(ctr(aes))")]
    [InlineData("ctr(aes)", null)]
    [InlineData("cbc(sm4)", null)]
    [InlineData("rfc4106(gcm(aes))", null)]
    public void A_cipher_is_found_by_name_or_old_name(string asked, string? name) => Assert.Equal(name, AlgorithmCatalogue.FindCipher(asked)?.Name);

    [Theory]
    [InlineData("rfc4106(gcm(aes))", 64, true)]
    [InlineData("rfc4106(gcm(aes))", 96, true)]
    [InlineData("rfc4106(gcm(aes))", 128, true)]
    [InlineData("rfc4106(gcm(aes))", 32, false)]
    [InlineData("rfc4106(gcm(aes))", 120, false)]
    [InlineData("rfc4106(gcm(aes))", 136, false)]
    [InlineData("rfc4309(ccm(aes))", 96, true)]
    [InlineData("rfc4309(ccm(aes))", 48, false)]
    [InlineData("rfc4309(ccm(aes))", 112, false)]
    [InlineData("rfc4543(gcm(aes))", 64, false)]
    [InlineData("rfc4543(gcm(aes))", 128, true)]
    [InlineData("rfc7539esp(chacha20,poly1305)", 96, false)]
    [InlineData("rfc7539esp(chacha20,poly1305)", 128, true)]
    [InlineData("gcm(aes)", 128, false)]
    [InlineData("seqiv(rfc4106(gcm(aes)))", 128, false)]
    [InlineData("cbc(aes)", 128, false)]
    public void An_aead_is_found_by_name_and_icv_length(string name, int icvBits, bool found) =>
        Assert.Equal(found, AlgorithmCatalogue.FindAead(name, icvBits) is not null);

    [Theory]
    [InlineData("deflate", true)]
    [InlineData("lzs", false)]
    [InlineData("lzjh", false)]
    [InlineData("nosuch", false)]
    public void Only_deflate_compresses(string name, bool found) => Assert.Equal(found, AlgorithmCatalogue.FindCompression(name) is not null);

    [Theory]
    [InlineData(12, "cbc(aes)")]
    [InlineData(13, "rfc3686(ctr(aes))")]
    [InlineData(253, "cbc(twofish)")]
    [InlineData(24, null)]
    [InlineData(0, null)]
    [InlineData(1, null)]
    [InlineData(14, null)]
    [InlineData(20, null)]
    [InlineData(23, null)]
    public void Pf_key_finds_ciphers_but_no_combined_modes(int id, string? name) => Assert.Equal(name, AlgorithmCatalogue.FindCipherByPfKeyId(id)?.Name);

    [Theory]
    [InlineData(2, "hmac(md5)")]
    [InlineData(251, "digest_null")]
    [InlineData(0, null)]
    [InlineData(4, null)]
    [InlineData(10, null)]
    public void Pf_key_finds_integrity_algorithms(int id, string? name) => Assert.Equal(name, AlgorithmCatalogue.FindAuthByPfKeyId(id)?.Name);

    [Fact]
    public void Pf_key_finds_deflate()
    {
        Assert.Equal("deflate", AlgorithmCatalogue.FindCompressionByPfKeyId(2)?.Name);
        Assert.Null(AlgorithmCatalogue.FindCompressionByPfKeyId(3));
    }

    [Theory]
    [InlineData("rfc4106(gcm(aes))", new[] { 20, 28, 36 })]
    [InlineData("rfc4309(ccm(aes))", new[] { 19, 27, 35 })]
    [InlineData("rfc4543(gcm(aes))", new[] { 20, 28, 36 })]
    [InlineData("rfc7539esp(chacha20,poly1305)", new[] { 36 })]
    public void Combined_modes_accept_keys_with_their_salt(string name, int[] accepted)
    {
        for (int length = 0; length < 70; length++)
        {
            TransformResult result = EspTransform.TryCreateEsp(AlgorithmCatalogue.FindAead(name, 128)!, new byte[length], out EspTransform? transform);
            Assert.Equal(accepted.Contains(length) ? TransformResult.Ok : TransformResult.InvalidKey, result);
            Assert.Equal(result == TransformResult.Ok, transform is not null);
            transform?.Dispose();
        }
    }

    [Theory]
    [InlineData("ecb(cipher_null)", new[] { 0 })]
    [InlineData("cbc(des)", new[] { 8 })]
    [InlineData("cbc(des3_ede)", new[] { 24 })]
    [InlineData("cbc(aes)", new[] { 16, 24, 32 })]
    [InlineData("cbc(camellia)", new[] { 16, 24, 32 })]
    [InlineData("cbc(twofish)", new[] { 16, 24, 32 })]
    [InlineData("rfc3686(ctr(aes))", new[] { 20, 28, 36 })]
    [InlineData("cbc(cast5)", new[] { 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 })]
    public void Ciphers_accept_the_keys_of_the_kernels(string name, int[] accepted)
    {
        for (int length = 0; length < 70; length++)
        {
            TransformResult result = EspTransform.TryCreateEsp(AlgorithmCatalogue.FindCipher(name)!, new byte[length], null, [], 0, out EspTransform? transform);
            Assert.Equal(accepted.Contains(length) ? TransformResult.Ok : TransformResult.InvalidKey, result);
            if (transform is not null)
            {
                transform.CreateContext().Dispose();
                transform.Dispose();
            }
        }
    }

    [Theory]
    [InlineData("hmac(sha256)", 32, 96, TransformResult.Ok, 12)]
    [InlineData("hmac(sha256)", 32, 100, TransformResult.Ok, 12)]
    [InlineData("hmac(sha256)", 32, 256, TransformResult.Ok, 32)]
    [InlineData("hmac(sha256)", 32, 264, TransformResult.InvalidIcv, 0)]
    [InlineData("hmac(sha256)", 32, 7, TransformResult.InvalidIcv, 0)]
    [InlineData("hmac(sha256)", 0, 64, TransformResult.Ok, 8)]
    [InlineData("hmac(sha256)", 128, 128, TransformResult.Ok, 16)]
    [InlineData("digest_null", 0, 0, TransformResult.Ok, 0)]
    [InlineData("digest_null", 5, 0, TransformResult.Ok, 0)]
    [InlineData("digest_null", 0, 8, TransformResult.InvalidIcv, 0)]
    [InlineData("xcbc(aes)", 17, 96, TransformResult.InvalidKey, 0)]
    [InlineData("xcbc(aes)", 32, 96, TransformResult.Ok, 12)]
    [InlineData("cmac(aes)", 32, 96, TransformResult.Ok, 12)]
    public void Truncation_and_auth_keys_are_judged_as_by_the_kernel(string name, int keyLength, int truncBits, TransformResult expected, int icvLength)
    {
        CipherAlgorithm none = AlgorithmCatalogue.FindCipher("cipher_null")!;
        AuthAlgorithm auth = AlgorithmCatalogue.FindAuth(name)!;
        Assert.Equal(expected, EspTransform.TryCreateEsp(none, [], auth, new byte[keyLength], truncBits, out EspTransform? esp));
        Assert.Equal(icvLength, esp?.IcvLength ?? 0);
        esp?.Dispose();

        // AH does not mind an ICV of no bytes (ah_init_state).
        TransformResult ah = AuthTransform.TryCreate(auth, new byte[keyLength], truncBits, out AuthTransform? transform);
        Assert.Equal(truncBits == 7 ? TransformResult.Ok : expected, ah);
        transform?.Dispose();
    }

    [Fact]
    public void A_secret_key_does_not_show_itself()
    {
        var key = new SecretKey([1, 2, 3]);
        ReadOnlySpan<byte> bytes = key.Span;
        Assert.Equal("(hidden)", key.ToString());
        key.Dispose();
        Assert.Equal(new byte[3], bytes);
    }

    [Fact]
    public void One_key_that_goes_takes_none_of_the_others_along()
    {
        SecretKey[] keys = [.. Enumerable.Range(0, 1000).Select(i => new SecretKey(Generated.Bytes((ulong)i, i % 300)))];
        for (int i = 0; i < keys.Length; i += 2)
        {
            keys[i].Dispose();
        }
        Assert.All(Enumerable.Range(0, keys.Length), i => Assert.Equal(i % 2 == 0 ? new byte[i % 300] : Generated.Bytes((ulong)i, i % 300), keys[i].Span.ToArray()));
    }
}
