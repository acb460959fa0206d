using System.Runtime.InteropServices;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Parameters;

namespace Xfrmd.Crypto.Managed;

/// <summary>CBC (NIST SP 800-38A) over a block cipher engine.</summary>
internal sealed class BlockChainContext : CipherContext
{
    private const int MaxBlock = 16;
    private readonly IBlockCipher _encrypt, _decrypt;
    private readonly int _block;

    public BlockChainContext(IBlockCipher encrypt, IBlockCipher decrypt, ReadOnlySpan<byte> key)
    {
        _encrypt = encrypt;
        _decrypt = decrypt;
        _block = encrypt.GetBlockSize();
        encrypt.Init(true, new KeyParameter(key));
        decrypt.Init(false, new KeyParameter(key));
    }

    public override void Encrypt(ReadOnlySpan<byte> iv, Span<byte> data)
    {
        ReadOnlySpan<byte> previous = iv[.._block];
        for (; data.Length >= _block; data = data[_block..])
        {
            Span<byte> block = data[.._block];
            Xor(block, previous);
            _encrypt.ProcessBlock(block, block);
            previous = block;
        }
    }

    public override void Decrypt(ReadOnlySpan<byte> iv, Span<byte> data)
    {
        Span<byte> previous = stackalloc byte[MaxBlock], received = stackalloc byte[MaxBlock];
        previous = previous[.._block];
        received = received[.._block];
        iv[.._block].CopyTo(previous);
        for (; data.Length >= _block; data = data[_block..])
        {
            Span<byte> block = data[.._block];
            block.CopyTo(received);
            _decrypt.ProcessBlock(received, block);
            Xor(block, previous);
            received.CopyTo(previous);
        }
    }

    public override void Dispose()
    {
    }

    /// <summary>Blocks are 8 or 16 bytes.</summary>
    private static void Xor(Span<byte> target, ReadOnlySpan<byte> mask)
    {
        Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(target);
        ReadOnlySpan<ulong> maskWords = MemoryMarshal.Cast<byte, ulong>(mask);
        for (int i = 0; i < words.Length; i++)
        {
            words[i] ^= maskWords[i];
        }
    }
}
