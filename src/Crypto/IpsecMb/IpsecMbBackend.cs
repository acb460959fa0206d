namespace Xfrmd.Crypto.IpsecMb;

/// <summary>libIPSec_MB for AES-GCM and ChaCha20-Poly1305; all else is another's (docs/adr/0003-libipsec-mb.md).</summary>
internal sealed class IpsecMbBackend : CryptoBackend
{
    private static readonly int[] AesKeyLengths = [16, 24, 32];
    private readonly CryptoBackend _others;

    private IpsecMbBackend(CryptoBackend others) => _others = others;

    public override string Description => $"libIPSec_MB {LibIpsecMb.Version} (AES-GCM, ChaCha20-Poly1305), {_others.Description}";

    /// <summary>This library before <paramref name="others"/>, where it is there and computes what they compute; else they alone.</summary>
    public static CryptoBackend Before(CryptoBackend others)
    {
        IpsecMbBackend backend = new(others);
        return LibIpsecMb.IsAvailable && backend.Agrees(AeadKind.ChaCha20Poly1305, ChaChaContext.KeyLength)
            && AesKeyLengths.All(length => backend.Agrees(AeadKind.AesGcm, length)) ? backend : others;
    }

    public override CipherContext CreateCipher(CipherKind kind, ReadOnlySpan<byte> key) => _others.CreateCipher(kind, key);

    public override AeadContext CreateAead(AeadKind kind, ReadOnlySpan<byte> key, int nonceLength, int tagLength) => kind switch
    {
        AeadKind.AesGcm when nonceLength == IpsecMbContext.NonceLength => new GcmContext(key),
        AeadKind.ChaCha20Poly1305 => new ChaChaContext(key),
        _ => _others.CreateAead(kind, key, nonceLength, tagLength),
    };

    public override AuthContext CreateAuth(AuthKind kind, ReadOnlySpan<byte> key) => _others.CreateAuth(kind, key);

    public override ulong RandomUInt64() => _others.RandomUInt64();

    /// <summary>Both seal a few packets alike, and this one opens them: the functions are where the library's header of today says.</summary>
    private bool Agrees(AeadKind kind, int keyLength)
    {
        const int IcvLength = 16;
        ReadOnlySpan<byte> aad = "spi, seq"u8, nonce = "a nonce once"u8;
        byte[] key = new byte[keyLength];
        key.AsSpan().Fill((byte)keyLength);
        using AeadContext mine = CreateAead(kind, key, nonce.Length, IcvLength), theirs = _others.CreateAead(kind, key, nonce.Length, IcvLength);
        foreach (int length in (ReadOnlySpan<int>)[4, 100, 1404])
        {
            byte[] one = new byte[length + IcvLength], other = new byte[length + IcvLength];
            mine.Seal(nonce, aad, [], one.AsSpan(..length), one.AsSpan(length));
            theirs.Seal(nonce, aad, [], other.AsSpan(..length), other.AsSpan(length));
            if (!one.AsSpan().SequenceEqual(other) || !mine.Open(nonce, aad, [], one.AsSpan(..length), one.AsSpan(length))
                || one.AsSpan(..length).ContainsAnyExcept((byte)0))
            {
                return false;
            }
        }
        return true;
    }
}
