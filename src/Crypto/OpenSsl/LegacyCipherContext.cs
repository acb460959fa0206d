using System.Security.Cryptography;

namespace Xfrmd.Crypto.OpenSsl;

/// <summary>
/// DES, CAST5 and Blowfish in CBC mode by libcrypto's low-level functions: its EVP layer has them only in the legacy provider,
/// which few systems install.
/// </summary>
internal sealed unsafe class LegacyCipherContext : CipherContext
{
    /// <summary>Room for the largest key schedule (<c>BF_KEY</c>: 4168 bytes).</summary>
    private const int ScheduleSize = 4224, Block = 8;

    private readonly delegate* unmanaged<byte*, byte*, nint, byte*, byte*, int, void> _crypt;
    private readonly byte[] _schedule = GC.AllocateArray<byte>(ScheduleSize, pinned: true);
    private bool _disposed;

    private LegacyCipherContext(nint crypt) => _crypt = (delegate* unmanaged<byte*, byte*, nint, byte*, byte*, int, void>)crypt;

    /// <summary>Null: not one of these, or this build of libcrypto does not export it.</summary>
    public static LegacyCipherContext? TryCreate(CipherKind kind, ReadOnlySpan<byte> key)
    {
        (string setKeyName, string cryptName) = kind switch
        {
            CipherKind.DesCbc => ("DES_set_key_unchecked", "DES_ncbc_encrypt"),
            CipherKind.Cast5Cbc => ("CAST_set_key", "CAST_cbc_encrypt"),
            CipherKind.BlowfishCbc => ("BF_set_key", "BF_cbc_encrypt"),
            _ => ("", ""),
        };
        if (setKeyName.Length == 0)
        {
            return null;
        }

        nint setKey = LibCrypto.Export(setKeyName), crypt = LibCrypto.Export(cryptName);
        if (setKey == 0 || crypt == 0)
        {
            return null;
        }

        var context = new LegacyCipherContext(crypt);
        fixed (byte* s = context._schedule, k = key)
        {
            if (kind == CipherKind.DesCbc)
            {
                ((delegate* unmanaged<byte*, byte*, void>)setKey)(k, s);
            }
            else
            {
                ((delegate* unmanaged<byte*, int, byte*, void>)setKey)(s, key.Length, k);
            }
        }

        return context;
    }

    public override void Encrypt(ReadOnlySpan<byte> iv, Span<byte> data) => Run(iv, data, encrypt: 1);

    public override void Decrypt(ReadOnlySpan<byte> iv, Span<byte> data) => Run(iv, data, encrypt: 0);

    public override void Dispose()
    {
        _disposed = true;
        CryptographicOperations.ZeroMemory(_schedule);
    }

    private void Run(ReadOnlySpan<byte> iv, Span<byte> data, int encrypt)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);

        // The functions leave the last block there.
        byte* chain = stackalloc byte[Block];
        iv[..Block].CopyTo(new Span<byte>(chain, Block));

        // They would pad a last block that is cut short, and write past it.
        int length = data.Length / Block * Block;
        fixed (byte* d = data, s = _schedule)
        {
            _crypt(d, d, length, s, chain, encrypt);
        }
    }
}
