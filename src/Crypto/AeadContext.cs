namespace Xfrmd.Crypto;

/// <summary>One keyed AEAD. Works in place; used by one thread at a time.</summary>
internal abstract class AeadContext : IDisposable
{
    /// <param name="nonce">The whole nonce, salt included.</param>
    /// <param name="aad">SPI and sequence number.</param>
    /// <param name="moreAad">What else is covered by the tag but not encrypted (GMAC: all of the payload).</param>
    /// <param name="data">Plaintext in, ciphertext out.</param>
    /// <param name="tag">Receives the tag.</param>
    public abstract void Seal(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, Span<byte> tag);

    /// <inheritdoc cref="Seal"/>
    public abstract bool Open(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> moreAad, Span<byte> data, ReadOnlySpan<byte> tag);

    public abstract void Dispose();
}
