namespace Xfrmd.Crypto.IpsecMb;

/// <summary>AES-GCM of libIPSec_MB, keyed once.</summary>
internal sealed unsafe class GcmContext : IpsecMbContext
{
    // struct gcm_key_data has 1008 bytes in 1.x and 1264 in 2.0, struct gcm_context_data 88.
    private const int ScratchOffset = 1792, MemoryLength = 2048;

    private readonly delegate* unmanaged[SuppressGCTransition]<byte*, byte*, byte*, byte*, ulong, byte*, byte*, ulong, byte*, ulong, void> _seal, _open;

    /// <param name="key">16, 24 or 32 bytes, without salt.</param>
    public GcmContext(ReadOnlySpan<byte> key)
        : base(MemoryLength)
    {
        _seal = LibIpsecMb.Seal(key.Length);
        _open = LibIpsecMb.Open(key.Length);
        fixed (byte* k = key)
        {
            LibIpsecMb.Expand(key.Length)(k, Memory.Raw);
        }
    }

    public override void Seal(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, Span<byte> tag)
    {
        Check(nonce, moreAad);
        byte* memory = Memory.Raw;
        fixed (byte* n = nonce, a = aad, d = data, t = tag)
        {
            _seal(memory, memory + ScratchOffset, d, d, (ulong)data.Length, n, a, (ulong)aad.Length, t, (ulong)tag.Length);
        }

        GC.KeepAlive(Memory);
    }

    public override bool Open(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, ReadOnlySpan<byte> tag)
    {
        Check(nonce, moreAad);
        byte* memory = Memory.Raw;
        byte* computed = stackalloc byte[MaxTag];
        fixed (byte* n = nonce, a = aad, d = data)
        {
            _open(memory, memory + ScratchOffset, d, d, (ulong)data.Length, n, a, (ulong)aad.Length, computed, (ulong)tag.Length);
        }

        GC.KeepAlive(Memory);
        return IsAuthentic(computed, tag);
    }
}
