namespace Xfrmd.Crypto;

/// <summary>One keyed cipher in CBC or CTR mode. Works in place; used by one thread at a time.</summary>
internal abstract class CipherContext : IDisposable
{
    /// <param name="iv">The IV, or the whole first counter block.</param>
    /// <param name="data">Whole blocks, or any length in counter mode.</param>
    public abstract void Encrypt(ReadOnlySpan<byte> iv, Span<byte> data);

    /// <inheritdoc cref="Encrypt"/>
    public abstract void Decrypt(ReadOnlySpan<byte> iv, Span<byte> data);

    public abstract void Dispose();
}
