using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Modes;
using Org.BouncyCastle.Crypto.Parameters;

namespace Xfrmd.Crypto.Managed;

/// <summary>An AEAD of BouncyCastle. Its classes allocate per packet: this serves where libcrypto is missing, and to check it.</summary>
internal sealed class ManagedAeadContext(AeadKind kind, ReadOnlySpan<byte> key, int tagLength) : AeadContext
{
    private readonly SecretKey _key = new(key);

    public override void Seal(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, Span<byte> tag)
    {
        IAeadCipher cipher = Start(forEncryption: true, nonce, aad, moreAad);
        byte[] output = new byte[data.Length + tagLength];
        int written = cipher.ProcessBytes(data, output);
        cipher.DoFinal(output.AsSpan(written));
        output.AsSpan(0, data.Length).CopyTo(data);
        output.AsSpan(data.Length).CopyTo(tag);
    }

    public override bool Open(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, ReadOnlySpan<byte> tag)
    {
        IAeadCipher cipher = Start(forEncryption: false, nonce, aad, moreAad);
        byte[] output = new byte[data.Length + tagLength];
        int written = cipher.ProcessBytes(data, output);
        written += cipher.ProcessBytes(tag, output.AsSpan(written));
        try
        {
            cipher.DoFinal(output.AsSpan(written));
        }
        catch (InvalidCipherTextException)
        {
            return false;
        }

        output.AsSpan(0, data.Length).CopyTo(data);
        return true;
    }

    public override void Dispose() => _key.Dispose();

    // A new one per packet: BouncyCastle remembers the last nonce and refuses to meet it again, but that is the caller's matter.
    private IAeadCipher Create() => kind switch
    {
        AeadKind.AesCcm => new CcmBlockCipher(AesUtilities.CreateEngine()),
        AeadKind.ChaCha20Poly1305 => new ChaCha20Poly1305(),
        _ => new GcmBlockCipher(AesUtilities.CreateEngine()),
    };

    private IAeadCipher Start(bool forEncryption, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad)
    {
        IAeadCipher cipher = Create();
        cipher.Init(forEncryption, new AeadParameters(new KeyParameter(_key.Span), tagLength * 8, nonce.ToArray()));
        cipher.ProcessAadBytes(aad);
        cipher.ProcessAadBytes(moreAad);
        return cipher;
    }
}
