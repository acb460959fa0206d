namespace Xfrmd.Crypto.Compression;

/// <summary>
/// Raw deflate for IPComp (RFC 2394), as crypto/deflate.c sets zlib up: default level, a window of 11 bits, one stream per packet.
/// It makes the very bytes that Linux makes, and allocates nothing per packet. One per worker; not thread safe.
/// </summary>
public sealed class DeflateCodec
{
    private readonly Deflater _deflater = new();
    private readonly Inflater _inflater = new();

    /// <summary>False: the compressed form does not fit into <paramref name="destination"/>.</summary>
    /// <param name="source">At most 64 KiB.</param>
    /// <param name="destination">Receives the stream. Give it less room than the source, and what does not shrink is refused.</param>
    /// <param name="written">The stream's length.</param>
    public bool TryCompress(ReadOnlySpan<byte> source, Span<byte> destination, out int written) => _deflater.TryCompress(source, destination, out written);

    /// <summary>False: not a complete deflate stream, or longer than <paramref name="destination"/> once unpacked. Never throws, whatever the bytes.</summary>
    public bool TryDecompress(ReadOnlySpan<byte> source, Span<byte> destination, out int written) => _inflater.TryDecompress(source, destination, out written);
}
