using System.Buffers.Binary;
using System.Security.Cryptography;
using Xfrmd.Crypto.Managed;

namespace Xfrmd.Crypto.OpenSsl;

/// <summary>The system's libcrypto; what it lacks (or keeps in its legacy provider) comes from managed code.</summary>
internal sealed class OpenSslBackend : CryptoBackend
{
    private readonly ManagedBackend _managed = new();

    public override string Description => $"libcrypto {LibCrypto.Version}";

    public override CipherContext CreateCipher(CipherKind kind, ReadOnlySpan<byte> key)
    {
        int bits = key.Length * 8;
        nint cipher = kind switch
        {
            CipherKind.AesCbc => LibCrypto.Cipher($"AES-{bits}-CBC"),
            CipherKind.AesCtr => LibCrypto.Cipher($"AES-{bits}-CTR"),
            CipherKind.CamelliaCbc => LibCrypto.Cipher($"CAMELLIA-{bits}-CBC"),
            CipherKind.TripleDesCbc => LibCrypto.Cipher("DES-EDE3-CBC"),
            CipherKind.Sm4Cbc => LibCrypto.Cipher("SM4-CBC"),
            _ => 0,
        };
        return cipher != 0
            ? new EvpCipherContext(cipher, key, kind == CipherKind.AesCtr)
            : LegacyCipherContext.TryCreate(kind, key) ?? _managed.CreateCipher(kind, key);
    }

    public override AeadContext CreateAead(AeadKind kind, ReadOnlySpan<byte> key, int nonceLength, int tagLength)
    {
        int bits = key.Length * 8;
        bool gcm = kind is AeadKind.AesGcm or AeadKind.AesGmac;
        nint cipher = kind switch
        {
            AeadKind.AesGcm or AeadKind.AesGmac => LibCrypto.Cipher($"AES-{bits}-GCM"),
            AeadKind.AesCcm => LibCrypto.Cipher($"AES-{bits}-CCM"),
            _ => LibCrypto.Cipher("ChaCha20-Poly1305"),
        };
        return cipher != 0
            ? new EvpAeadContext(cipher, kind == AeadKind.AesCcm, gcm && EvpAeadContext.GcmTakesIvAsParameter, key, nonceLength, tagLength)
            : _managed.CreateAead(kind, key, nonceLength, tagLength);
    }

    public override AuthContext CreateAuth(AuthKind kind, ReadOnlySpan<byte> key)
    {
        if (kind is AuthKind.AesXcbc or AuthKind.AesCmac)
        {
            return CreateCbcMac(kind, key);
        }

        return NativeDigest.Find(kind) is { } digest ? new HmacContext(digest, key) : _managed.CreateAuth(kind, key);
    }

    public override ulong RandomUInt64()
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(bytes);
        return BinaryPrimitives.ReadUInt64BigEndian(bytes);
    }
}
