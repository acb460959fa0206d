using System.Security.Cryptography;

namespace Xfrmd.Crypto.OpenSsl;

/// <summary>HMAC (RFC 2104) over a hash function of libcrypto. The two keyed blocks are hashed once; a packet starts from copies of those states.</summary>
internal sealed unsafe class HmacContext : AuthContext
{
    private const int Inner = 0, Outer = NativeDigest.StateSize, Work = 2 * NativeDigest.StateSize, End = 3 * NativeDigest.StateSize;

    private readonly NativeDigest _digest;
    private readonly byte[] _states = GC.AllocateArray<byte>(End, pinned: true);
    private bool _disposed;

    public HmacContext(NativeDigest digest, ReadOnlySpan<byte> key)
    {
        _digest = digest;
        Span<byte> block = stackalloc byte[digest.BlockSize];
        block.Clear();
        if (key.Length <= digest.BlockSize)
        {
            key.CopyTo(block);
        }
        else
        {
            fixed (byte* s = &_states[Work], k = key, b = block)
            {
                LibCrypto.Check(digest.Init(s));
                LibCrypto.Check(digest.Update(s, k, (nuint)key.Length));
                LibCrypto.Check(digest.Final(b, s));
            }
        }

        Start(Inner, block, 0x36);
        Start(Outer, block, 0x36 ^ 0x5c);
        CryptographicOperations.ZeroMemory(block);
        Restart();
    }

    public override void Append(ReadOnlySpan<byte> data)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        fixed (byte* s = &_states[Work], d = data)
        {
            LibCrypto.Check(_digest.Update(s, d, (nuint)data.Length));
        }
    }

    public override void Finish(Span<byte> icv)
    {
        byte* hash = stackalloc byte[MaxLength];
        fixed (byte* s = &_states[Work])
        {
            LibCrypto.Check(_digest.Final(hash, s));
            _states.AsSpan(Outer, NativeDigest.StateSize).CopyTo(_states.AsSpan(Work));
            LibCrypto.Check(_digest.Update(s, hash, (nuint)_digest.Size));
            LibCrypto.Check(_digest.Final(hash, s));
        }

        new ReadOnlySpan<byte>(hash, icv.Length).CopyTo(icv);
        Restart();
    }

    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        CryptographicOperations.ZeroMemory(_states);
    }

    /// <summary>Hashes the key block XOR a pad; the pads are applied to the same block one after the other.</summary>
    private void Start(int state, Span<byte> block, byte pad)
    {
        for (int i = 0; i < block.Length; i++)
        {
            block[i] ^= pad;
        }

        fixed (byte* s = &_states[state], b = block)
        {
            LibCrypto.Check(_digest.Init(s));
            LibCrypto.Check(_digest.Update(s, b, (nuint)block.Length));
        }
    }

    private void Restart() => _states.AsSpan(Inner, NativeDigest.StateSize).CopyTo(_states.AsSpan(Work));
}
