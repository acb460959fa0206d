using System.Buffers.Binary;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Parameters;

namespace Xfrmd.Crypto.Managed;

/// <summary>Counter mode with a 32-bit counter at the block's end (RFC 3686) over a 128-bit block cipher engine.</summary>
internal sealed class BlockCounterContext : CipherContext
{
    private const int Block = 16;
    private readonly IBlockCipher _cipher;

    public BlockCounterContext(IBlockCipher cipher, ReadOnlySpan<byte> key)
    {
        _cipher = cipher;
        cipher.Init(true, new KeyParameter(key));
    }

    public override void Encrypt(ReadOnlySpan<byte> iv, Span<byte> data)
    {
        Span<byte> counter = stackalloc byte[Block], stream = stackalloc byte[Block];
        iv.CopyTo(counter);
        while (data.Length > 0)
        {
            _cipher.ProcessBlock(counter, stream);
            int count = Math.Min(Block, data.Length);
            for (int i = 0; i < count; i++)
            {
                data[i] ^= stream[i];
            }

            data = data[count..];
            BinaryPrimitives.WriteUInt32BigEndian(counter[12..], BinaryPrimitives.ReadUInt32BigEndian(counter[12..]) + 1);
        }
    }

    public override void Decrypt(ReadOnlySpan<byte> iv, Span<byte> data) => Encrypt(iv, data);

    public override void Dispose()
    {
    }
}
