using Xfrmd.Crypto;

namespace Xfrmd.Bench;

/// <summary>The transforms that are measured, by the names that IKE daemons use.</summary>
internal static class Suites
{
    public static EspTransform Create(string suite) => suite switch
    {
        "aes128gcm16" => Aead("rfc4106(gcm(aes))", 20),
        "aes256gcm16" => Aead("rfc4106(gcm(aes))", 36),
        "chacha20poly1305" => Aead("rfc7539esp(chacha20,poly1305)", 36),
        "aes128ccm16" => Aead("rfc4309(ccm(aes))", 19),
        "aes128gmac" => Aead("rfc4543(gcm(aes))", 20),
        "aes128-sha256" => Authenc("cbc(aes)", 16, "hmac(sha256)", 32, 128),
        "aes256-sha512" => Authenc("cbc(aes)", 32, "hmac(sha512)", 64, 256),
        "null-sha256" => Authenc("ecb(cipher_null)", 0, "hmac(sha256)", 32, 128),
        "aes128ctr-sha1" => Authenc("rfc3686(ctr(aes))", 20, "hmac(sha1)", 20, 96),
        "3des-sha1" => Authenc("cbc(des3_ede)", 24, "hmac(sha1)", 20, 96),
        _ => throw new ArgumentOutOfRangeException(nameof(suite)),
    };

    private static EspTransform Aead(string name, int keyLength) =>
        EspTransform.TryCreateEsp(AlgorithmCatalogue.FindAead(name, 128)!, new byte[keyLength], out EspTransform? transform) == TransformResult.Ok
            ? transform!
            : throw new InvalidOperationException(name);

    private static EspTransform Authenc(string cipher, int keyLength, string auth, int authKeyLength, int truncBits) =>
        EspTransform.TryCreateEsp(
            AlgorithmCatalogue.FindCipher(cipher)!, new byte[keyLength], AlgorithmCatalogue.FindAuth(auth), new byte[authKeyLength], truncBits, out EspTransform? transform) == TransformResult.Ok
            ? transform!
            : throw new InvalidOperationException(cipher);
}
