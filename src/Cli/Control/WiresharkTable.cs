namespace Xfrmd.Cli.Control;

/// <summary>Wireshark's table of ESP SAs (<c>esp_sa</c>), with the names that Wireshark 4.0 accepts.</summary>
internal static class WiresharkTable
{
    /// <summary>One line of <c>esp_sa</c>: family, source, destination, SPI, cipher, key, integrity, key; null where Wireshark knows no such algorithm.</summary>
    public static string? Line(SaReport sa)
    {
        if (sa.Protocol != "esp" || sa.State != "valid" || Cipher(sa) is not { } cipher || Integrity(sa) is not { } integrity)
        {
            return null;
        }
        string family = sa.Family == "ipv6" ? "IPv6" : "IPv4";
        string cipherKey = string.IsNullOrEmpty(sa.CipherKey) ? "" : "0x" + sa.CipherKey;
        string authKey = string.IsNullOrEmpty(sa.AuthKey) || integrity.StartsWith("ANY", StringComparison.Ordinal) ? "" : "0x" + sa.AuthKey;
        return $"\"{family}\",\"{sa.Source}\",\"{sa.Destination}\",\"{sa.Spi}\",\"{cipher}\",\"{cipherKey}\",\"{integrity}\",\"{authKey}\"";
    }

    private static string? Cipher(SaReport sa) => sa.Cipher switch
    {
        "rfc4106(gcm(aes))" => $"AES-GCM with {sa.IntegrityBits / 8} octet ICV [RFC4106]",
        "cbc(aes)" => "AES-CBC [RFC3602]",
        "rfc3686(ctr(aes))" => "AES-CTR [RFC3686]",
        "cbc(des3_ede)" => "TripleDES-CBC [RFC2451]",
        "cbc(des)" => "DES-CBC [RFC2405]",
        "cbc(cast5)" => "CAST5-CBC [RFC2144]",
        "cbc(blowfish)" => "BLOWFISH-CBC [RFC2451]",
        "cbc(twofish)" => "TWOFISH-CBC",
        "ecb(cipher_null)" => "NULL",
        _ => null,
    };

    private static string? Integrity(SaReport sa) => (sa.Integrity, sa.IntegrityBits) switch
    {
        (null, _) => "NULL",
        ("hmac(md5)", 96) => "HMAC-MD5-96 [RFC2403]",
        ("hmac(sha1)", 96) => "HMAC-SHA-1-96 [RFC2404]",
        ("hmac(sha256)", 96) => "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]",
        ("hmac(sha256)", 128) => "HMAC-SHA-256-128 [RFC4868]",
        ("hmac(sha384)", 192) => "HMAC-SHA-384-192 [RFC4868]",
        ("hmac(sha512)", 256) => "HMAC-SHA-512-256 [RFC4868]",
        (_, 64 or 96 or 128 or 192 or 256) => $"ANY {sa.IntegrityBits} bit authentication [no checking]",
        _ => null,
    };
}
