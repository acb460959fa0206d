using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Xfrmd.Crypto.OpenSsl;

/// <summary>
/// A CBC or CTR cipher of libcrypto: the key is expanded once per direction. To set an IV asks the provider each time how long it is, by names; in CBC
/// mode it goes on from the last block of the packet before instead, and the first block is changed by what the two differ in.
/// </summary>
internal sealed unsafe class EvpCipherContext : CipherContext
{
    private const int MaxBlock = 16;
    private readonly CipherContextHandle _encrypt, _decrypt;
    private readonly bool _stream;
    private readonly byte[] _lastEncrypted = new byte[MaxBlock], _lastDecrypted = new byte[MaxBlock];

    public EvpCipherContext(nint cipher, ReadOnlySpan<byte> key, bool stream)
    {
        _stream = stream;
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

    public override void Encrypt(ReadOnlySpan<byte> iv, Span<byte> data)
    {
        if (_stream)
        {
            RunFrom(iv, data);
            return;
        }

        Span<byte> last = _lastEncrypted.AsSpan(0, iv.Length);
        Mix(data, iv, last);
        Run(_encrypt, data);
        data[^iv.Length..].CopyTo(last);
    }

    public override void Decrypt(ReadOnlySpan<byte> iv, Span<byte> data)
    {
        if (_stream)
        {
            RunFrom(iv, data);
            return;
        }

        Span<byte> last = _lastDecrypted.AsSpan(0, iv.Length), next = stackalloc byte[MaxBlock];
        next = next[..iv.Length];
        data[^iv.Length..].CopyTo(next);
        Run(_decrypt, data);
        Mix(data, iv, last);
        next.CopyTo(last);
    }

    public override void Dispose()
    {
        _encrypt.Dispose();
        _decrypt.Dispose();
    }

    private static CipherContextHandle Keyed(nint cipher, ReadOnlySpan<byte> key, int encrypt)
    {
        CipherContextHandle context = CipherContextHandle.Create();
        byte* zero = stackalloc byte[MaxBlock];
        new Span<byte>(zero, MaxBlock).Clear();
        fixed (byte* k = key)
        {
            LibCrypto.Check(LibCrypto.InitKey(context.Raw, cipher, 0, k, zero, encrypt));
        }

        return context;
    }

    /// <summary>The first block XOR both.</summary>
    private static void Mix(Span<byte> data, ReadOnlySpan<byte> iv, ReadOnlySpan<byte> last)
    {
        for (int i = 0; i < iv.Length; i += sizeof(ulong))
        {
            ulong mixed = MemoryMarshal.Read<ulong>(data[i..]) ^ MemoryMarshal.Read<ulong>(iv[i..]) ^ MemoryMarshal.Read<ulong>(last[i..]);
            MemoryMarshal.Write(data[i..], mixed);
        }
    }

    private void RunFrom(ReadOnlySpan<byte> counter, Span<byte> data)
    {
        ObjectDisposedException.ThrowIf(_encrypt.IsClosed, this);
        fixed (byte* c = counter)
        {
            LibCrypto.Check(LibCrypto.InitIv(_encrypt.Raw, 0, 0, null, c, 1));
        }

        Run(_encrypt, data);
    }

    private static void Run(CipherContextHandle context, Span<byte> data)
    {
        ObjectDisposedException.ThrowIf(context.IsClosed, typeof(EvpCipherContext));
        int written;
        fixed (byte* d = data)
        {
            LibCrypto.Check(LibCrypto.Update(context.Raw, d, &written, d, data.Length));
        }

        Debug.Assert(written == data.Length, "whole blocks in, whole blocks out");
        GC.KeepAlive(context);
    }
}
