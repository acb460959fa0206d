namespace Xfrmd.Crypto.IpsecMb;

/// <summary>ChaCha20-Poly1305 of libIPSec_MB.</summary>
internal sealed unsafe class ChaChaContext : IpsecMbContext
{
    public const int KeyLength = 32;

    // struct chacha20_poly1305_context_data has 192 bytes.
    private const int ScratchOffset = 64, MemoryLength = 512;

    private readonly ChaChaFunctions _functions = LibIpsecMb.ChaCha;

    /// <param name="key">32 bytes, without salt.</param>
    public ChaChaContext(ReadOnlySpan<byte> key)
        : base(MemoryLength) => key.CopyTo(new Span<byte>(Memory.Raw, KeyLength));

    public override void Seal(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, Span<byte> tag)
    {
        Check(nonce, moreAad);
        byte* key = Memory.Raw, scratch = key + ScratchOffset;
        fixed (byte* n = nonce, a = aad, d = data, t = tag)
        {
            _functions.Start(key, scratch, n, a, (ulong)aad.Length);
            _functions.Seal(key, scratch, d, d, (ulong)data.Length);
            _functions.Finish(scratch, t, (ulong)tag.Length);
        }

        GC.KeepAlive(Memory);
    }

    public override bool Open(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, ReadOnlySpan<byte> tag)
    {
        Check(nonce, moreAad);
        byte* key = Memory.Raw, scratch = key + ScratchOffset, computed = stackalloc byte[MaxTag];
        fixed (byte* n = nonce, a = aad, d = data)
        {
            _functions.Start(key, scratch, n, a, (ulong)aad.Length);
            _functions.Open(key, scratch, d, d, (ulong)data.Length);
            _functions.Finish(scratch, computed, (ulong)tag.Length);
        }

        GC.KeepAlive(Memory);
        return IsAuthentic(computed, tag);
    }
}
