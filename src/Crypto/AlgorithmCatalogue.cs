namespace Xfrmd.Crypto;

/// <summary>
/// Every algorithm that an SA can name, in the order of net/xfrm/xfrm_algo.c (PF_KEY lists them in that order).
/// Lookups answer as <c>xfrm_aalg_get_byname(name, probe: 1)</c> and its kin do: null for what is unknown or unavailable.
/// </summary>
public static class AlgorithmCatalogue
{
    private static readonly KeyLengths AesKeys = new(16, 32, 8);

    /// <summary><c>aalg_list</c>.</summary>
    public static ReadOnlySpan<AuthAlgorithm> Auth => AuthRows;

    /// <summary><c>ealg_list</c>.</summary>
    public static ReadOnlySpan<CipherAlgorithm> Ciphers => CipherRows;

    /// <summary><c>aead_list</c>.</summary>
    public static ReadOnlySpan<AeadAlgorithm> Aead => AeadRows;

    /// <summary><c>calg_list</c>.</summary>
    public static ReadOnlySpan<CompressionAlgorithm> Compression => CompressionRows;

    private static readonly AuthAlgorithm[] AuthRows =
    [
        //   kind                    name            compat   trunc full  keys                    id   min  max
        new(AuthKind.Null,          "digest_null",  null,     0,   0,   KeyLengths.Any,         251, 0,   0),
        new(AuthKind.HmacMd5,       "hmac(md5)",    "md5",    96,  128, KeyLengths.Any,         2,   128, 128),
        new(AuthKind.HmacSha1,      "hmac(sha1)",   "sha1",   96,  160, KeyLengths.Any,         3,   160, 160),
        new(AuthKind.HmacSha256,    "hmac(sha256)", "sha256", 96,  256, KeyLengths.Any,         5,   256, 256),
        new(AuthKind.HmacSha384,    "hmac(sha384)", null,     192, 384, KeyLengths.Any,         6,   384, 384),
        new(AuthKind.HmacSha512,    "hmac(sha512)", null,     256, 512, KeyLengths.Any,         7,   512, 512),
        new(AuthKind.HmacRipemd160, "hmac(rmd160)", "rmd160", 96,  160, KeyLengths.Any,         8,   160, 160),
        // Any AES key: xcbc only derives its three 128-bit keys with it (crypto_xcbc_digest_setkey).
        new(AuthKind.AesXcbc,       "xcbc(aes)",    null,     96,  128, AesKeys,                9,   128, 128),
        new(AuthKind.AesCmac,       "cmac(aes)",    null,     96,  128, AesKeys,                0,   128, 128),
        new(AuthKind.HmacSm3,       "hmac(sm3)",    "sm3",    256, 256, KeyLengths.Any,         10,  256, 256, Available: false),
    ];

    private static readonly CipherAlgorithm[] CipherRows =
    [
        //   kind                      name                compat         block iv  keys                     geniv                          id  iv min max
        new(CipherKind.Null,         "ecb(cipher_null)", "cipher_null", 1,  0,  KeyLengths.Exactly(0),   IvGenerator.None,              11,  0, 0,   0),
        new(CipherKind.DesCbc,       "cbc(des)",         "des",         8,  8,  KeyLengths.Exactly(8),   IvGenerator.EncryptedSequence, 2,   8, 64,  64),
        new(CipherKind.TripleDesCbc, "cbc(des3_ede)",    "des3_ede",    8,  8,  KeyLengths.Exactly(24),  IvGenerator.EncryptedSequence, 3,   8, 192, 192),
        new(CipherKind.Cast5Cbc,     "cbc(cast5)",       "cast5",       8,  8,  new KeyLengths(5, 16),   IvGenerator.EncryptedSequence, 6,   8, 40,  128),
        new(CipherKind.BlowfishCbc,  "cbc(blowfish)",    "blowfish",    8,  8,  new KeyLengths(4, 56),   IvGenerator.EncryptedSequence, 7,   8, 40,  448),
        new(CipherKind.AesCbc,       "cbc(aes)",         "aes",         16, 16, AesKeys,                 IvGenerator.EncryptedSequence, 12,  8, 128, 256),
        new(CipherKind.SerpentCbc,   "cbc(serpent)",     "serpent",     16, 16, new KeyLengths(0, 32),   IvGenerator.EncryptedSequence, 252, 8, 128, 256),
        new(CipherKind.CamelliaCbc,  "cbc(camellia)",    "camellia",    16, 16, AesKeys,                 IvGenerator.EncryptedSequence, 22,  8, 128, 256),
        new(CipherKind.TwofishCbc,   "cbc(twofish)",     "twofish",     16, 16, AesKeys,                 IvGenerator.EncryptedSequence, 253, 8, 128, 256),
        new(CipherKind.AesCtr,       "rfc3686(ctr(aes))", null,         1,  8,  new KeyLengths(20, 36, 8), IvGenerator.SequenceXorSalt, 13,  8, 160, 288),
        new(CipherKind.Sm4Cbc,       "cbc(sm4)",         "sm4",         16, 16, KeyLengths.Exactly(16),  IvGenerator.EncryptedSequence, 24, 16, 128, 256, Available: false),
    ];

    private static readonly AeadAlgorithm[] AeadRows =
    [
        new(AeadKind.AesGcm, "rfc4106(gcm(aes))", 64, 4, 8, new KeyLengths(20, 36, 8), IvGenerator.SequenceXorSalt, 18),
        new(AeadKind.AesGcm, "rfc4106(gcm(aes))", 96, 4, 8, new KeyLengths(20, 36, 8), IvGenerator.SequenceXorSalt, 19),
        new(AeadKind.AesGcm, "rfc4106(gcm(aes))", 128, 4, 8, new KeyLengths(20, 36, 8), IvGenerator.SequenceXorSalt, 20),
        new(AeadKind.AesCcm, "rfc4309(ccm(aes))", 64, 3, 8, new KeyLengths(19, 35, 8), IvGenerator.SequenceXorSalt, 14),
        new(AeadKind.AesCcm, "rfc4309(ccm(aes))", 96, 3, 8, new KeyLengths(19, 35, 8), IvGenerator.SequenceXorSalt, 15),
        new(AeadKind.AesCcm, "rfc4309(ccm(aes))", 128, 3, 8, new KeyLengths(19, 35, 8), IvGenerator.SequenceXorSalt, 16),
        new(AeadKind.AesGmac, "rfc4543(gcm(aes))", 128, 4, 8, new KeyLengths(20, 36, 8), IvGenerator.SequenceXorSalt, 23),
        new(AeadKind.ChaCha20Poly1305, "rfc7539esp(chacha20,poly1305)", 128, 4, 8, KeyLengths.Exactly(36), IvGenerator.SequenceXorSalt, 0),
    ];

    private static readonly CompressionAlgorithm[] CompressionRows =
    [
        new("deflate", 90, 2, Available: true),
        new("lzs", 90, 3, Available: false),
        new("lzjh", 50, 4, Available: false),
    ];

    /// <summary><c>xfrm_aalg_get_byname</c>.</summary>
    public static AuthAlgorithm? FindAuth(ReadOnlySpan<char> name)
    {
        foreach (AuthAlgorithm row in AuthRows)
        {
            if (row.Available && Named(name, row.Name, row.Compat))
            {
                return row;
            }
        }

        return null;
    }

    /// <summary><c>xfrm_ealg_get_byname</c>.</summary>
    public static CipherAlgorithm? FindCipher(ReadOnlySpan<char> name)
    {
        foreach (CipherAlgorithm row in CipherRows)
        {
            if (row.Available && Named(name, row.Name, row.Compat))
            {
                return row;
            }
        }

        return null;
    }

    /// <summary><c>xfrm_aead_get_byname</c>: name and ICV length must match one row.</summary>
    public static AeadAlgorithm? FindAead(ReadOnlySpan<char> name, int icvBits)
    {
        foreach (AeadAlgorithm row in AeadRows)
        {
            if (row.IcvBits == icvBits && Named(name, row.Name, null))
            {
                return row;
            }
        }

        return null;
    }

    /// <summary><c>xfrm_calg_get_byname</c>.</summary>
    public static CompressionAlgorithm? FindCompression(ReadOnlySpan<char> name)
    {
        foreach (CompressionAlgorithm row in CompressionRows)
        {
            if (row.Available && Named(name, row.Name, null))
            {
                return row;
            }
        }

        return null;
    }

    /// <summary><c>xfrm_aalg_get_byid</c>.</summary>
    public static AuthAlgorithm? FindAuthByPfKeyId(int id)
    {
        foreach (AuthAlgorithm row in AuthRows)
        {
            if (row.Available && row.PfKeySupported && row.PfKeyId == id)
            {
                return row;
            }
        }

        return null;
    }

    /// <summary><c>xfrm_ealg_get_byid</c>: combined modes are not found.</summary>
    public static CipherAlgorithm? FindCipherByPfKeyId(int id)
    {
        foreach (CipherAlgorithm row in CipherRows)
        {
            if (row.Available && row.PfKeySupported && row.PfKeyId == id)
            {
                return row;
            }
        }

        return null;
    }

    /// <summary><c>xfrm_calg_get_byid</c>.</summary>
    public static CompressionAlgorithm? FindCompressionByPfKeyId(int id)
    {
        foreach (CompressionAlgorithm row in CompressionRows)
        {
            if (row.Available && row.PfKeyId == id)
            {
                return row;
            }
        }

        return null;
    }

    private static bool Named(ReadOnlySpan<char> asked, string name, string? compat) =>
        asked.SequenceEqual(name) || (compat is not null && asked.SequenceEqual(compat));
}
