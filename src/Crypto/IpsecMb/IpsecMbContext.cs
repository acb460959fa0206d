namespace Xfrmd.Crypto.IpsecMb;

/// <summary>What the AEADs of libIPSec_MB share.</summary>
/// <param name="memoryLength">Bytes for the key and what is computed with it.</param>
internal abstract unsafe class IpsecMbContext(int memoryLength) : AeadContext
{
    /// <summary>What a nonce has: the library takes no other.</summary>
    public const int NonceLength = 12;

    protected const int MaxTag = 16;

    protected KeyMemory Memory { get; } = new(memoryLength);

    public sealed override void Dispose() => Memory.Dispose();

    protected void Check(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> moreAad)
    {
        ObjectDisposedException.ThrowIf(Memory.IsClosed, this);
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, NonceLength);
        ArgumentOutOfRangeException.ThrowIfNotEqual(moreAad.Length, 0);
    }

    /// <summary>The tag that a packet should have, and the one that it has.</summary>
    protected static bool IsAuthentic(byte* computed, ReadOnlySpan<byte> tag) => ConstantTime.Equals(new ReadOnlySpan<byte>(computed, tag.Length), tag);
}
