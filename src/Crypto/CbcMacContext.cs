using System.Security.Cryptography;

namespace Xfrmd.Crypto;

/// <summary>AES-XCBC (RFC 3566) and AES-CMAC (RFC 4493): a CBC chain whose last block is masked by one key if full, by another if padded.</summary>
internal sealed class CbcMacContext : AuthContext
{
    private const int Block = 16;

    /// <summary>A whole packet is one call into the cipher.</summary>
    private const int Capacity = 2048;

    private readonly CipherContext _cipher;
    private readonly byte[] _fullMask, _paddedMask;
    private readonly byte[] _chain = new byte[Block];
    private readonly byte[] _buffer = new byte[Capacity];
    private int _buffered;

    private CbcMacContext(CipherContext cipher, byte[] fullMask, byte[] paddedMask)
    {
        _cipher = cipher;
        _fullMask = fullMask;
        _paddedMask = paddedMask;
    }

    /// <summary>RFC 3566 section 4: three keys, each the encryption of a constant.</summary>
    public static CbcMacContext Xcbc(CipherContext cipher, Func<byte[], CipherContext> create)
    {
        byte[] k1 = Constant(cipher, 1);
        using (cipher)
        {
            var context = new CbcMacContext(create(k1), Constant(cipher, 2), Constant(cipher, 3));
            CryptographicOperations.ZeroMemory(k1);
            return context;
        }

        static byte[] Constant(CipherContext cipher, byte value)
        {
            byte[] block = GC.AllocateArray<byte>(Block, pinned: true);
            block.AsSpan().Fill(value);
            cipher.Encrypt(new byte[Block], block);
            return block;
        }
    }

    /// <summary>RFC 4493 section 2.3: the masks are doublings of E(0) in GF(2^128).</summary>
    public static CbcMacContext Cmac(CipherContext cipher)
    {
        byte[] zero = GC.AllocateArray<byte>(Block, pinned: true);
        cipher.Encrypt(new byte[Block], zero);
        byte[] once = Double(zero);
        var context = new CbcMacContext(cipher, once, Double(once));
        CryptographicOperations.ZeroMemory(zero);
        return context;

        static byte[] Double(byte[] value)
        {
            byte[] doubled = GC.AllocateArray<byte>(Block, pinned: true);
            for (int i = 0; i < Block; i++)
            {
                doubled[i] = (byte)((value[i] << 1) | (i + 1 < Block ? value[i + 1] >> 7 : 0));
            }

            doubled[Block - 1] ^= (byte)(0x87 & -(value[0] >> 7));
            return doubled;
        }
    }

    public override void Append(ReadOnlySpan<byte> data)
    {
        while (data.Length > 0)
        {
            // A full buffer waits until it is known not to hold the last block.
            if (_buffered == Capacity)
            {
                Chain(_buffer);
                _buffered = 0;
            }

            int count = Math.Min(data.Length, Capacity - _buffered);
            data[..count].CopyTo(_buffer.AsSpan(_buffered));
            _buffered += count;
            data = data[count..];
        }
    }

    public override void Finish(Span<byte> icv)
    {
        int last = _buffered == 0 ? 0 : (_buffered - 1) / Block * Block;
        Span<byte> block = _buffer.AsSpan(last, Block);
        byte[] mask = _fullMask;
        if (_buffered - last < Block)
        {
            block[_buffered - last] = 0x80;
            block[(_buffered - last + 1)..].Clear();
            mask = _paddedMask;
        }

        for (int i = 0; i < Block; i++)
        {
            block[i] ^= mask[i];
        }

        Chain(_buffer.AsSpan(0, last + Block));
        _chain.AsSpan(0, icv.Length).CopyTo(icv);
        _chain.AsSpan().Clear();
        _buffered = 0;
    }

    protected override void Dispose(bool disposing)
    {
        _cipher.Dispose();
        CryptographicOperations.ZeroMemory(_fullMask);
        CryptographicOperations.ZeroMemory(_paddedMask);
        CryptographicOperations.ZeroMemory(_buffer);
    }

    private void Chain(Span<byte> blocks)
    {
        _cipher.Encrypt(_chain, blocks);
        blocks[^Block..].CopyTo(_chain);
    }
}
