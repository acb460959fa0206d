using System.Diagnostics;

namespace Xfrmd.Crypto.OpenSsl;

/// <summary>A CBC or CTR cipher of libcrypto: the key is expanded once per direction, a packet only sets the IV.</summary>
internal sealed unsafe class EvpCipherContext : CipherContext
{
    private readonly CipherContextHandle _encrypt, _decrypt;

    public EvpCipherContext(nint cipher, ReadOnlySpan<byte> key, bool stream)
    {
        _encrypt = Keyed(cipher, key, encrypt: 1);
        _decrypt = stream ? _encrypt : Keyed(cipher, key, encrypt: 0);
        if (!stream)
        {
            // Or decryption would hold back the last block. EVP_CIPHER_CTX_set_padding would do it again with every IV.
            uint off = 0;
            OsslParam* parameters = stackalloc OsslParam[2];
            parameters[0] = OsslParam.Padding(&off);
            LibCrypto.Check(LibCrypto.SetParameters(_decrypt.Raw, parameters));
        }
    }

    public override void Encrypt(ReadOnlySpan<byte> iv, Span<byte> data) => Run(_encrypt, iv, data, encrypt: 1);

    public override void Decrypt(ReadOnlySpan<byte> iv, Span<byte> data) => Run(_decrypt, iv, data, encrypt: 0);

    public override void Dispose()
    {
        _encrypt.Dispose();
        _decrypt.Dispose();
    }

    private static CipherContextHandle Keyed(nint cipher, ReadOnlySpan<byte> key, int encrypt)
    {
        CipherContextHandle context = CipherContextHandle.Create();
        fixed (byte* k = key)
        {
            LibCrypto.Check(LibCrypto.InitKey(context.Raw, cipher, 0, k, null, encrypt));
        }

        return context;
    }

    private static void Run(CipherContextHandle context, ReadOnlySpan<byte> iv, Span<byte> data, int encrypt)
    {
        ObjectDisposedException.ThrowIf(context.IsClosed, typeof(EvpCipherContext));
        int written;
        fixed (byte* i = iv, d = data)
        {
            LibCrypto.Check(LibCrypto.InitIv(context.Raw, 0, 0, null, i, encrypt));
            LibCrypto.Check(LibCrypto.Update(context.Raw, d, &written, d, data.Length));
        }

        Debug.Assert(written == data.Length, "whole blocks in, whole blocks out");
        GC.KeepAlive(context);
    }
}
