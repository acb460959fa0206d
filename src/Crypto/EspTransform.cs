namespace Xfrmd.Crypto;

/// <summary>What one ESP SA does to bytes: algorithms, keys and lengths; immutable, shared by all workers. Mirrors <c>esp_init_state</c>, net/ipv4/esp4.c.</summary>
public abstract class EspTransform : IDisposable
{
    /// <summary>SPI and sequence number.</summary>
    public const int HeaderLength = 8;

    private volatile bool _disposed;

    private protected EspTransform(int ivLength, int blockSize, int icvLength)
    {
        IvLength = ivLength;
        BlockSize = blockSize;
        IcvLength = icvLength;
    }

    /// <summary>IV bytes on the wire.</summary>
    public int IvLength { get; }

    /// <summary>The cipher's block in bytes, 1 for stream ciphers and combined modes. ESP pads to a multiple of the larger of this and 4.</summary>
    public int BlockSize { get; }

    /// <summary>ICV bytes on the wire.</summary>
    public int IcvLength { get; }

    /// <summary>What one worker uses. Not thread safe; dispose it on the thread that uses it, or leave that to the finalizer.</summary>
    /// <exception cref="ObjectDisposedException">The SA is gone, and its keys are wiped.</exception>
    public EspContext CreateContext()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        EspContext context = CreateContextCore();
        if (_disposed)
        {
            // Wiped while it was read: no packet may leave under a key of zeros.
            context.Dispose();
            throw new ObjectDisposedException(nameof(EspTransform));
        }

        return context;
    }

    public void Dispose()
    {
        _disposed = true;
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected abstract void Dispose(bool disposing);

    private protected abstract EspContext CreateContextCore();

    /// <summary>A combined-mode transform. Mirrors <c>esp_init_aead</c>.</summary>
    /// <param name="aead">The algorithm.</param>
    /// <param name="key">Shared with who calls; zeroed with the transform.</param>
    /// <param name="transform">Null where the key does not fit.</param>
    public static TransformResult TryCreateEsp(AeadAlgorithm aead, SecretKey key, out EspTransform? transform) =>
        TryCreateEsp(CryptoBackend.Default, aead, key, out transform);

    public static TransformResult TryCreateEsp(AeadAlgorithm aead, ReadOnlySpan<byte> key, out EspTransform? transform) =>
        TryCreateEsp(CryptoBackend.Default, aead, key, out transform);

    /// <summary>
    /// A cipher with an integrity algorithm; without one (null, or digest_null) nothing is verified. Mirrors <c>esp_init_authenc</c>.
    /// </summary>
    /// <param name="cipher">The cipher.</param>
    /// <param name="cipherKey">Shared with who calls, as the other; zeroed with the transform.</param>
    /// <param name="auth">The integrity algorithm.</param>
    /// <param name="authKey">Its key; null where there is none.</param>
    /// <param name="truncBits">Of the ICV.</param>
    /// <param name="transform">Null where a key or the ICV does not fit.</param>
    public static TransformResult TryCreateEsp(
        CipherAlgorithm cipher, SecretKey cipherKey, AuthAlgorithm? auth, SecretKey? authKey, int truncBits, out EspTransform? transform) =>
        TryCreateEsp(CryptoBackend.Default, cipher, cipherKey, auth, authKey, truncBits, out transform);

    public static TransformResult TryCreateEsp(
        CipherAlgorithm cipher, ReadOnlySpan<byte> cipherKey, AuthAlgorithm? auth, ReadOnlySpan<byte> authKey, int truncBits, out EspTransform? transform) =>
        TryCreateEsp(CryptoBackend.Default, cipher, cipherKey, auth, authKey, truncBits, out transform);

    internal static TransformResult TryCreateEsp(CryptoBackend backend, AeadAlgorithm aead, ReadOnlySpan<byte> key, out EspTransform? transform) =>
        TryCreateEsp(backend, aead, new SecretKey(key), out transform);

    internal static TransformResult TryCreateEsp(
        CryptoBackend backend,
        CipherAlgorithm cipher,
        ReadOnlySpan<byte> cipherKey,
        AuthAlgorithm? auth,
        ReadOnlySpan<byte> authKey,
        int truncBits,
        out EspTransform? transform) =>
        TryCreateEsp(backend, cipher, new SecretKey(cipherKey), auth, new SecretKey(authKey), truncBits, out transform);

    private static TransformResult TryCreateEsp(CryptoBackend backend, AeadAlgorithm aead, SecretKey key, out EspTransform? transform)
    {
        transform = null;
        if (!aead.KeyLengths.Accepts(key.Length))
        {
            return TransformResult.InvalidKey;
        }

        transform = new AeadEspTransform(backend, aead, key);
        return TransformResult.Ok;
    }

    private static TransformResult TryCreateEsp(
        CryptoBackend backend, CipherAlgorithm cipher, SecretKey cipherKey, AuthAlgorithm? auth, SecretKey? authKey, int truncBits, out EspTransform? transform)
    {
        transform = null;
        if (!cipher.KeyLengths.Accepts(cipherKey.Length) || (auth is not null && !auth.KeyLengths.Accepts(authKey?.Length ?? 0)))
        {
            return TransformResult.InvalidKey;
        }

        // crypto_aead_setauthsize: an algorithm that has an ICV must not be asked for none.
        int fullBits = auth?.FullBits ?? 0;
        int icvLength = auth is null ? 0 : truncBits / 8;
        if (truncBits < 0 || icvLength * 8 > fullBits || (icvLength == 0 && fullBits > 0))
        {
            return TransformResult.InvalidIcv;
        }

        transform = new AuthencEspTransform(backend, cipher, cipherKey, auth, authKey, icvLength);
        return TransformResult.Ok;
    }
}
